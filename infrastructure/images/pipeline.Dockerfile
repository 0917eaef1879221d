# The images of the services and of the `payments` command. Build them with `make images`.
# `payments run gateway` is the gateway; normalizer, dispatcher, worker and inference are the same.
# With LOCK=dagster the image has Dagster and dbt too, for the lakehouse. With LOCK=superset it has Superset and
# of our packages only `payments run superset`, on Python 3.11: Superset's libraries have none newer.
ARG PYTHON=3.13-slim-trixie
ARG LOCK=pipeline

FROM python:${PYTHON} AS build
COPY infrastructure/locks/build.txt /build/locks/
RUN python3 -m venv /build/venv \
    && /build/venv/bin/pip install --quiet --no-cache-dir --require-hashes -r /build/locks/build.txt

FROM build AS wheel
COPY . /build/source
WORKDIR /build/source
RUN /build/venv/bin/python -m hatchling build --target wheel --directory /build/dist

FROM python:${PYTHON} AS sbom
COPY infrastructure/locks/sbom.txt /build/locks/
RUN python3 -m venv /build/sbom \
    && /build/sbom/bin/pip install --quiet --no-cache-dir --require-hashes -r /build/locks/sbom.txt

FROM python:${PYTHON} AS installed
ARG LOCK
COPY infrastructure/locks/${LOCK}.txt /build/locks/
COPY --from=build /build/venv /build/venv
# A package that has no wheel is built with the locked setuptools, so nothing comes without a hash. The wheels
# are installed by name and version: a package from a path has no address in the bill of materials.
RUN python3 -m venv /opt/payments && mkdir /build/wheels && cd /build/wheels \
    && /build/venv/bin/pip wheel --quiet --no-cache-dir --no-deps --require-hashes \
        --use-pep517 --no-build-isolation -r /build/locks/${LOCK}.txt \
    && ls | sed -E 's/^([^-]+)-([^-]+)-.*/\1==\2/' >/build/packages.txt \
    && /opt/payments/bin/pip install --quiet --no-cache-dir --no-deps --no-index --find-links . \
        -r /build/packages.txt \
    && rm -r /build/wheels
COPY --from=wheel /build/dist /build/dist
# pip compiles the modules, so that a read-only container needn't at each start. Then pip goes, and the
# setuptools that came with it.
RUN /opt/payments/bin/pip install --quiet --no-cache-dir --no-deps --no-index /build/dist/*.whl \
    && /opt/payments/bin/pip uninstall --quiet --yes setuptools pip
# dbt parses the project here once, and no container does. No address and no password are needed.
ENV PAYMENTS_CACHE=/opt/payments/cache
RUN mkdir /opt/payments/cache && [ "$LOCK" != dagster ] \
    || env PAYMENTS_TRINO_URL=https://unused /opt/payments/bin/python -c \
        "from orchestration_dagster import dbt_manifest; dbt_manifest.manifest()"
# The bill of materials, in CycloneDX: every Python package that is in the image.
COPY --from=sbom /build/sbom /build/sbom
RUN /build/sbom/bin/cyclonedx-py environment /opt/payments/bin/python --output-reproducible \
    --output-format JSON --output-file /opt/payments/sbom.cdx.json

FROM python:${PYTHON}
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
# Last, because each commit has another revision.
ARG LOCK
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="payments/${LOCK}" \
    org.opencontainers.image.description="The payment pipeline: its services and its command." \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.licenses="Apache-2.0" \
    payments.sbom="/opt/payments/sbom.cdx.json"
