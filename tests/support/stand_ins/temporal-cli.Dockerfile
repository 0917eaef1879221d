# A stand-in for temporalio/temporal: Temporal's command line, with its development server.
FROM python:3.13-slim-trixie
COPY temporal /usr/local/bin/temporal
RUN chmod a+rx /usr/local/bin/temporal && useradd --uid 1000 temporal
USER temporal
ENTRYPOINT ["temporal"]
