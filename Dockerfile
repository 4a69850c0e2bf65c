# docker build -t beanstalkd-py .
# docker run -p 11300:11300 -v jobs:/data beanstalkd-py
# docker run -v jobs:/data beanstalkd-py -b /data --max-job-size 1000000
#
# The Python and the Debian are those that the tests run on.

FROM python:3.11-slim-bookworm AS build
# Debian's archive keeps only the newest version of a package, so no version is named.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN python -m venv /opt/beanstalkd-py \
    && BEANSTALKD_COMPILED=1 /opt/beanstalkd-py/bin/pip install --no-cache-dir '.[fast]'

FROM python:3.11-slim-bookworm
COPY --from=build /opt/beanstalkd-py /opt/beanstalkd-py
# A user of its own, and a directory for the jobs that belongs to this user.
RUN groupadd --system --gid 11300 beanstalkd-py \
    && useradd --system --uid 11300 --gid 11300 --no-create-home --home-dir /data beanstalkd-py \
    && install -d -o beanstalkd-py -g beanstalkd-py -m 0750 /data
ENV PATH=/opt/beanstalkd-py/bin:$PATH
USER 11300:11300
VOLUME /data
EXPOSE 11300
# The server ends in order: it syncs the log and sends the replies that wait for it.
STOPSIGNAL SIGTERM
# A server that reads a large log does not answer yet; it has an hour for that.
HEALTHCHECK --interval=10s --timeout=5s --start-period=1h CMD ["beanstalkd-py", "ping"]
ENTRYPOINT ["beanstalkd-py"]
CMD ["-b", "/data"]
