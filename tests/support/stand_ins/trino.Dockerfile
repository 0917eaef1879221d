# A stand-in for trinodb/trino, of the archive and the Java that the native stack runs.
FROM python:3.13-slim-trixie
COPY java /opt/java
COPY trino /usr/lib/trino
COPY curl.sh /usr/local/bin/curl
ENV JAVA_HOME=/opt/java JAVA_TOOL_OPTIONS=-XX:TieredStopAtLevel=1
