package main

// OpenShift's kinds, of the only release of them that is a module.

import (
	apps "github.com/openshift/api/apps/v1"
	authorization "github.com/openshift/api/authorization/v1"
	build "github.com/openshift/api/build/v1"
	image "github.com/openshift/api/image/v1"
	network "github.com/openshift/api/network/v1"
	oauth "github.com/openshift/api/oauth/v1"
	project "github.com/openshift/api/project/v1"
	quota "github.com/openshift/api/quota/v1"
	route "github.com/openshift/api/route/v1"
	security "github.com/openshift/api/security/v1"
	template "github.com/openshift/api/template/v1"
	user "github.com/openshift/api/user/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

func init() {
	for _, add := range []func(*runtime.Scheme) error{
		apps.AddToScheme, authorization.AddToScheme, build.AddToScheme, image.AddToScheme, network.AddToScheme,
		oauth.AddToScheme, project.AddToScheme, quota.AddToScheme, route.AddToScheme, security.AddToScheme,
		template.AddToScheme, user.AddToScheme,
	} {
		must(add(scheme.Scheme))
	}
}
