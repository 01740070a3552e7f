# Both workers in one image: `docker run IMAGE orchestration-worker`, `docker run IMAGE local-worker`.
# The dependencies are those of requirements/run.txt, to the hash.
FROM python:3.13.14-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m venv /opt/kitsune \
    && /opt/kitsune/bin/pip install --require-hashes --no-deps -r requirements/run.txt \
    && pip install --require-hashes --no-deps -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/kitsune/bin/pip install --no-deps --no-index dist/*.whl \
    && /opt/kitsune/bin/pip uninstall --yes pip

FROM python:3.13.14-slim-bookworm
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/kitsune --shell /usr/sbin/nologin kitsune \
    && install --directory --owner kitsune --group kitsune --mode 0700 /var/lib/kitsune /run/kitsune
COPY --from=build /opt/kitsune /opt/kitsune
ENV PATH=/opt/kitsune/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 KITSUNE_STATE_DIR=/var/lib/kitsune
USER kitsune
WORKDIR /var/lib/kitsune
# Volumes that start empty take the owner of this folder from the image.
VOLUME /var/lib/kitsune
# The workers keep this file while they poll and Temporal answers. Mount a tmpfs there, so that a restart begins without it.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 CMD ["test", "-e", "/run/kitsune/ready"]
ENTRYPOINT ["kitsune"]
CMD ["--help"]
