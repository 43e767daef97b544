// The OpenStack provider, with one difference: an interrupt never abandons a resource that is being made.
//
// Terraform passes an interrupt on as StopProvider, which cancels the calls that are in flight. A create that is
// cancelled after the cloud took the request leaves a server or a port that no state lists. Here StopProvider is
// answered and nothing is cancelled: Terraform starts nothing new, waits for what is in flight, and records it.
package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-go/tfprotov5"
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	"github.com/hashicorp/terraform-plugin-sdk/v2/plugin"
	"github.com/terraform-provider-openstack/terraform-provider-openstack/v3/openstack"
)

type patientServer struct{ tfprotov5.ProviderServer }

// StopProvider answers and leaves the provider's own stop signal alone.
func (patientServer) StopProvider(context.Context, *tfprotov5.StopProviderRequest) (*tfprotov5.StopProviderResponse, error) {
	return &tfprotov5.StopProviderResponse{}, nil
}

// ApplyResourceChange runs to its end: terraform-plugin-go cancels its context on StopProvider by itself.
func (s patientServer) ApplyResourceChange(ctx context.Context, request *tfprotov5.ApplyResourceChangeRequest) (*tfprotov5.ApplyResourceChangeResponse, error) {
	return s.ProviderServer.ApplyResourceChange(context.WithoutCancel(ctx), request)
}

func main() {
	plugin.Serve(&plugin.ServeOpts{
		ProviderAddr: "registry.terraform.io/terraform-provider-openstack/openstack",
		GRPCProviderFunc: func() tfprotov5.ProviderServer {
			return patientServer{schema.NewGRPCProviderServer(openstack.Provider())}
		},
	})
}
