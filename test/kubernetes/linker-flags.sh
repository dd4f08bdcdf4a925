# Sourced by the scripts that build programs of Kubernetes.
# shellcheck shell=bash

# What Kubernetes' own build stamps in; without it the API server calls itself v0.0.0-master.
linker_flags() {
  local version major minor package
  version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
  IFS=. read -r major minor _ <<< "${version#v}"
  printf -- '-s -w'
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf -- ' -X %s.%s' "$package" "gitVersion=$version" "$package" "gitMajor=$major" "$package" "gitMinor=$minor" \
      "$package" gitTreeState=clean
  done
}
