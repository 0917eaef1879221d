# A stand-in for temporalio/server, temporalio/admin-tools and temporalio/ui: Temporal's development
# server, which keeps its data in a file of its own, and needs no schema.
FROM python:3.13-slim-trixie
COPY temporal /opt/temporal
COPY temporal-cli.sh /usr/local/bin/temporal
COPY temporal.sh /etc/temporal/entrypoint.sh
COPY nc.sh /usr/local/bin/nc
COPY temporal-sql-tool.sh /usr/local/bin/temporal-sql-tool
RUN useradd --uid 1000 temporal && install -d -o temporal /var/lib/temporal
USER temporal
ENTRYPOINT ["/etc/temporal/entrypoint.sh"]
