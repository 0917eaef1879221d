# A stand-in for otel/opentelemetry-collector: it counts the requests with spans, and reads no configuration.
FROM python:3.13-slim-trixie
COPY collector.py /otelcol
USER 10001
ENTRYPOINT ["python3", "/otelcol"]
