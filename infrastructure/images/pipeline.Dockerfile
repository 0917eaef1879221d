# The images of the services and of the `payments` command. Build them with `make images`.
# `payments run gateway` is the gateway; normalizer, dispatcher, worker and inference are the same.
# With LOCK=dagster the image has Dagster and dbt too, for the lakehouse.
ARG PYTHON=3.13
ARG LOCK=pipeline

FROM python:${PYTHON}-slim-trixie AS wheel
COPY infrastructure/locks/build.txt /build/locks/
RUN python3 -m venv /build/venv \
    && /build/venv/bin/pip install --quiet --no-cache-dir --require-hashes -r /build/locks/build.txt
COPY . /build/source
WORKDIR /build/source
RUN /build/venv/bin/python -m hatchling build --target wheel --directory /build/dist

FROM python:${PYTHON}-slim-trixie AS installed
ARG LOCK
COPY infrastructure/locks/${LOCK}.txt /build/locks/
RUN python3 -m venv /opt/payments \
    && /opt/payments/bin/pip install --quiet --no-cache-dir --no-deps --require-hashes \
        -r /build/locks/${LOCK}.txt
COPY --from=wheel /build/dist /build/dist
# pip compiles the modules, so that a read-only container needn't at each start. Then pip goes.
RUN /opt/payments/bin/pip install --quiet --no-cache-dir --no-deps --no-index /build/dist/*.whl \
    && /opt/payments/bin/pip uninstall --quiet --yes pip
# dbt parses the project here once, and no container does. No address and no password are needed.
ENV PAYMENTS_CACHE=/opt/payments/cache
RUN mkdir /opt/payments/cache && [ "$LOCK" = pipeline ] \
    || env PAYMENTS_TRINO_URL=https://unused /opt/payments/bin/python -c \
        "from orchestration_dagster import dbt_manifest; dbt_manifest.manifest()"

FROM python:${PYTHON}-slim-trixie
ARG LOCK
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="payments/${LOCK}" \
    org.opencontainers.image.description="The payment pipeline: its services and its command." \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/payments payments \
    && cd /var/lib && install -d -m 700 -o payments -g payments \
        payments payments/run payments/secrets payments/models payments/ledger
COPY --from=installed /opt/payments /opt/payments
ENV PATH=/opt/payments/bin:$PATH \
    PAYMENTS_HOME=/var/lib/payments \
    PAYMENTS_VAR=/var/lib/payments \
    PAYMENTS_CACHE=/opt/payments/cache \
    PAYMENTS_HOST=0.0.0.0 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/payments
USER 10001:10001
ENTRYPOINT ["payments"]
CMD ["--help"]
