# A stand-in for apache/kafka, of the jars that the native stack runs.
FROM python:3.13-slim-trixie
COPY java /opt/java
COPY jars /opt/kafka/libs
COPY kafka.sh /etc/kafka/docker/run
RUN useradd --uid 1000 appuser && install -d -o appuser /var/lib/kafka/data /opt/kafka/config
USER appuser
CMD ["/bin/bash", "/etc/kafka/docker/run"]
