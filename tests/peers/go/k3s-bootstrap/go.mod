module k3s-bootstrap

go 1.24
