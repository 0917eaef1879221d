# A stand-in for grafana/grafana: an empty page. It shows only that the container has its files and its password.
FROM python:3.13-slim-trixie
COPY grafana.sh /run.sh
COPY wget.sh /usr/local/bin/wget
RUN useradd --uid 472 grafana && install -d -o grafana /var/lib/grafana
USER grafana
ENTRYPOINT ["/run.sh"]
