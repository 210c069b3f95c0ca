# The trainer's image. It is built with docker, podman or buildah: make image, make image-gpu.
#
#   docker run --rm -v "$PWD/runs:/runs" --user "$(id -u)" gantry:0.1.0 \
#     train --preset demo --root /runs --experiment digits --run first
#
# A root file system that is read-only will do: only /tmp is written, and the run's own folder or bucket.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# What TensorFlow needs is 1 GB and changes with the lock alone. TRAINER is "image" or "image-gpu".
FROM ${PYTHON_IMAGE} AS dependencies
ARG TRAINER=image
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/gantry
COPY requirements/${TRAINER}.txt /opt/lock.txt
# The headers serve those who compile operations of their own: 287 MB.
RUN /opt/pip/bin/pip --python /opt/gantry/bin/python install --no-cache-dir --no-deps --require-hashes \
      -r /opt/lock.txt \
    && rm -rf /opt/gantry/lib/python3.*/site-packages/tensorflow/include

FROM ${PYTHON_IMAGE} AS package
RUN python3 -m venv /opt/build
COPY requirements/image-build.txt /opt/lock.txt
RUN /opt/build/bin/pip install --no-cache-dir --no-deps --require-hashes -r /opt/lock.txt
WORKDIR /src
COPY pyproject.toml README.md ./
COPY k8s k8s
COPY launcher launcher
COPY trainer trainer
RUN /opt/build/bin/pip install --no-cache-dir --no-deps --no-build-isolation --prefix /opt/package .

FROM ${PYTHON_IMAGE}
COPY --from=dependencies /opt/gantry /opt/gantry
# Alone in the last layer: a change of the code rebuilds, pushes and pulls 1 MB.
COPY --from=package /opt/package/lib /opt/gantry/lib
ENV PATH=/opt/gantry/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    HOME=/tmp \
    TMPDIR=/tmp \
    MPLCONFIGDIR=/tmp
# Not /tmp, which is anybody's.
WORKDIR /opt/gantry
USER 65532:65532
ENTRYPOINT ["dumb-init", "--", "python", "-m", "trainer"]

ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
ENV GANTRY_GIT_REVISION=${REVISION}
LABEL org.opencontainers.image.title="gantry" \
      org.opencontainers.image.description="GAN training with TensorFlow: one worker of a run" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
