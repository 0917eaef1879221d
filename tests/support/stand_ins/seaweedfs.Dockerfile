# A stand-in for chrislusf/seaweedfs, of the program that the native stack runs.
FROM python:3.13-slim-trixie
COPY weed /usr/local/bin/weed
COPY wget.sh /usr/local/bin/wget
RUN chmod a+rx /usr/local/bin/weed
