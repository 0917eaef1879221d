# A stand-in for prom/prometheus, of Debian's program.
FROM python:3.13-slim-trixie
COPY prometheus /bin/prometheus
COPY wget.sh /usr/local/bin/wget
RUN install -d -o nobody /prometheus
USER nobody
ENTRYPOINT ["/bin/prometheus"]
