package server

import (
	"github.com/enfold-run/enfold/aws"
	"github.com/enfold-run/enfold/dispatch"
	"github.com/enfold-run/enfold/wire"
)

// service is what answers the ops of one AWS service.
type service struct {
	*aws.Service
	impl any // its API
}

// register makes the services answer their ops, and gives the router that finds them. What is not in this list is not
// served, and what is in it is in the matrix of the tests.
func register(calls *dispatch.Dispatcher, all []service) *wire.Router {
	apis := make([]*aws.Service, len(all))
	for i, svc := range all {
		calls.Register(svc.Service, svc.impl)
		apis[i] = svc.Service
	}
	return wire.NewRouter(apis...)
}
