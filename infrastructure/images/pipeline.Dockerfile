# The image of the services and of the `payments` command. Build it with `make images`.
# `payments run gateway` is the gateway; normalizer, dispatcher, worker and inference are the same.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim-trixie AS wheel
COPY infrastructure/locks/build.txt /build/locks/
RUN python3 -m venv /build/venv \
    && /build/venv/bin/pip install --quiet --no-cache-dir --require-hashes -r /build/locks/build.txt
COPY . /build/source
WORKDIR /build/source
RUN /build/venv/bin/python -m hatchling build --target wheel --directory /build/dist

FROM python:${PYTHON}-slim-trixie AS installed
COPY infrastructure/locks/pipeline.txt /build/locks/
RUN python3 -m venv /opt/payments \
    && /opt/payments/bin/pip install --quiet --no-cache-dir --no-deps --require-hashes \
        -r /build/locks/pipeline.txt
COPY --from=wheel /build/dist /build/dist
# pip compiles the modules, so that a read-only container needn't at each start. Then pip goes.
RUN /opt/payments/bin/pip install --quiet --no-cache-dir --no-deps --no-index /build/dist/*.whl \
    && /opt/payments/bin/pip uninstall --quiet --yes pip

FROM python:${PYTHON}-slim-trixie
ARG VERSION=0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="payments/pipeline" \
    org.opencontainers.image.description="Gateway, normalizer, dispatcher, worker and inference of the payment pipeline." \
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
    PAYMENTS_CACHE=/var/lib/payments/cache \
    PAYMENTS_HOST=0.0.0.0 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/payments
USER 10001:10001
ENTRYPOINT ["payments"]
CMD ["--help"]
