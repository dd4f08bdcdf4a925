# Every target sets up what it needs by itself; see scripts/setup.
SHELL := /bin/bash
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
# What is started from its sources, over and over in the tests, is compiled once.
export NODE_COMPILE_CACHE := $(CURDIR)/node_modules/.cache/compile

.PHONY: help demo test e2e cluster cluster-down image check fix generate build control-plane bench-reconcile bench-cache bench-nodes bench-admission setup setup-check clean

help: ## what can be made
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

demo: ## the main job on this machine: a mirror in front of a real registry, cold, warm, and with the upstream stopped
	@scripts/setup demo
	@node scripts/demo.ts

test: ## all tests
	@scripts/setup test
	@node scripts/test.ts

e2e: ## what needs a whole cluster: two nodes in namespaces of this machine, as root
	@scripts/setup e2e
	@node scripts/test.ts e2e

cluster: ## start a Kubernetes cluster of two nodes in namespaces of this machine, as root; prints KUBECONFIG and how to enter a node
	@scripts/setup cluster
	@node scripts/cluster.ts up

cluster-down: ## remove that cluster, or what is left of it
	@scripts/setup check
	@node scripts/cluster.ts down

image: ## build the Dockerfile on bases made of packages, as root; its archive is the last line
	@scripts/setup image
	@test/image/build

check: ## format, lint, types, unit tests, architecture rules
	@scripts/setup check
	@npm run --silent check

fix: ## format and mend what the linter can
	@npm run --silent fix

generate: ## write the generated files: CRDs and their pages, the chart, alerts and dashboard
	@npm run --silent generate

build: ## compile to dist/
	@scripts/setup check
	@npm run --silent build

control-plane: ## build the control plane of the tests; its folder is the last line
	@test/kubernetes/build

bench-reconcile: ## seconds, requests and memory for 1, 50 and 200 mirrors on a real API server
	@scripts/setup test
	@node bench/reconcile/main.ts

bench-cache: ## this mirror (1 and 2 replicas) beside distribution's pull-through cache: first bytes, downloads, upstream bytes; BENCH=--quick takes a minute
	@scripts/setup test
	@node bench/cache/main.ts $(BENCH)

bench-nodes: ## one image by containerd 1.6 and 2.4, dockerd and skopeo while the mirror is well, gone, lost, slow or failing; BENCH=--quick takes five minutes
	@scripts/setup test
	@node bench/nodes/main.ts $(BENCH)

bench-admission: ## pods/s and CPU per pod with nobody, the policy and the webhook to rewrite them, and the webhook beside a bare server; BENCH=--quick takes three minutes
	@scripts/setup test
	@node bench/admission/main.ts $(BENCH)

clean: ## remove what was built here
	@rm -rf node_modules dist coverage
