# One image for operator, broker, node agent and nginx: what is tested is what runs.
FROM node:26-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-fund --no-audit
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && npm prune --omit=dev --no-fund --no-audit

FROM node:26-bookworm-slim
# nginx-light has the slice, cache, TLS and thread modules; the stream module is for the node agent's forwarder.
RUN apt-get update \
 && apt-get install -y --no-install-recommends nginx-light libnginx-mod-stream ca-certificates \
 && rm -rf /var/lib/apt/lists/* /etc/nginx/sites-enabled/* /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE ./
COPY bin bin
COPY templates templates
COPY crds crds
# The probe and start commands of the original operator's Deployments.
COPY deploy/image/python /usr/local/bin/python
COPY deploy/image/operator.py mirroroperator/operator.py
RUN ln -s /app/bin/registry-mirror-operator /usr/local/bin/registry-mirror-operator
# The image's own name, for an operator that may not read it from its pod: docker build --build-arg IMAGE=registry/name:tag
ARG IMAGE=registry-mirror-operator:0.1.0
ENV NODE_ENV=production OPERATOR_IMAGE_DEFAULT=$IMAGE
USER 65532:65532
ENTRYPOINT ["registry-mirror-operator"]
