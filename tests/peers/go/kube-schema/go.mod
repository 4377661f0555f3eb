module peers/kube-schema

go 1.24
