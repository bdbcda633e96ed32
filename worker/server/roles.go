package server

import (
	"context"

	"google.golang.org/grpc"

	"github.com/millrace/millrace/identity"
)

// readers are who may fetch outputs; a ticket is needed beside.
var readers = []identity.Role{identity.Worker, identity.Client, identity.Operator}

// guards have every call permitted first.
func (s *Server) guards() []grpc.ServerOption {
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, r any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := identity.Require(ctx, readers...); err != nil {
				return nil, err
			}
			return handle(ctx, r)
		}),
		grpc.ChainStreamInterceptor(func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := identity.Require(stream.Context(), readers...); err != nil {
				return err
			}
			return handle(server, stream)
		}),
	}
	if s.keeper != nil {
		options = append(options, grpc.Creds(s.keeper.ServerCredentials()))
	}
	return options
}
