package testbed

import (
	"context"

	"github.com/moby/moby/client"
)

// DockerState is what Docker can do for a run.
type DockerState struct {
	Version string
	Present bool  // the image is there
	PullErr error // why the image, which is not there, could not be pulled; nil where it could
	Err     error // Docker can't be reached; the rest is unknown
}

// InspectDocker asks Docker about an image. It pulls nothing.
func InspectDocker(ctx context.Context, image string) (s DockerState) {
	api, err := dockerAPI(ctx)
	if err != nil {
		return DockerState{Err: err}
	}
	defer api.Close()
	v, err := api.ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return DockerState{Err: err}
	}
	s.Version = v.Version
	if _, err := api.ImageInspect(ctx, image); err == nil {
		s.Present = true
		return s
	}
	_, s.PullErr = api.DistributionInspect(ctx, image, client.DistributionInspectOptions{})
	return s
}
