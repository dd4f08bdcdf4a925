#!/bin/sh
# Stands at /app/mirroroperator/operator.py in the image; see `python` beside it in the sources.
exec /app/bin/registry-mirror-operator "$@"
