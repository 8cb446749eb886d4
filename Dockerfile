# The versions of Glue 5.1, for those who want their jobs in a container; nothing of Meshplane needs it (./dev runs without Docker).
#   make docker-build && make docker-run JOB=sales.daily_revenue
# tests/unit/test_dockerfile.py holds these versions against the locks that tests and laptops run with.
FROM python:3.11-slim-bookworm

LABEL glue.version="5.1" spark.version="3.5.6" iceberg.version="1.10.0" python.version="3.11" java.version="17"

RUN apt-get update \
    && apt-get install -y --no-install-recommends bash git make openjdk-17-jre-headless procps \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 meshplane

WORKDIR /opt/domain
# Dependencies and jars first: they change seldom.
COPY --chown=meshplane requirements requirements
COPY --chown=meshplane pyproject.toml dev domain.json ./
COPY --chown=meshplane cli cli
COPY --chown=meshplane functions functions
COPY --chown=meshplane glue_jobs glue_jobs
RUN chown meshplane . && su meshplane -c './dev setup'
COPY --chown=meshplane . .

USER meshplane
HEALTHCHECK NONE
ENTRYPOINT ["./dev", "meshplane"]
CMD ["--help"]
