# KnoxCall server. Build: docker build --tag knoxcall .
# Run, and what to mount: docs/operations/install.md

FROM node:24.21.0-trixie-slim AS manifests
WORKDIR /opt/knoxcall
COPY package.json package-lock.json ./
COPY packages/server/package.json packages/server/

FROM manifests AS build
RUN npm ci --workspace @knoxcall/server --include-workspace-root=false --include=dev --ignore-scripts --no-audit --no-fund
COPY tsconfig.base.json ./
COPY packages/server/tsconfig.build.json packages/server/
COPY packages/server/src packages/server/src
RUN npm run build --workspace @knoxcall/server

FROM manifests AS dependencies
# This Node has SQLite built in; the package that brings it to an older one stays out of the image.
RUN npm ci --workspace @knoxcall/server --include-workspace-root=false --omit=dev --ignore-scripts --no-audit --no-fund \
 && rm -rf node_modules/@photostructure

FROM node:24.21.0-trixie-slim
LABEL org.opencontainers.image.title="KnoxCall" \
      org.opencontainers.image.description="Zero-trust API proxy and secrets platform" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production \
    KNOX_HOST=0.0.0.0 \
    KNOX_DATA_DIR=/var/lib/knoxcall
RUN install --directory --owner=1000 --group=1000 --mode=0700 /var/lib/knoxcall
WORKDIR /opt/knoxcall
COPY --from=dependencies /opt/knoxcall/node_modules node_modules
COPY packages/server/package.json packages/server/
COPY packages/server/bin packages/server/bin
COPY --from=build /opt/knoxcall/packages/server/dist packages/server/dist
# By number, so that an orchestrator can see that it is not root.
USER 1000:1000
VOLUME ["/var/lib/knoxcall"]
EXPOSE 8787
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["node", "-e", "require('node:http').get({ port: process.env.KNOX_PORT || 8787, path: '/healthz' }, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=32", "packages/server/bin/knox-server.mjs"]
CMD ["start"]
