package server

import (
	"context"

	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalphapb "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	"github.com/millrace/millrace/api"
	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/identity"
)

// The roles that may call a method, where there is TLS. A method that is in no
// table is refused.
var roles = table(
	service{pb.JobService_ServiceDesc, users},
	service{pb.FleetService_ServiceDesc, []identity.Role{identity.Operator}},
	service{pb.WorkerService_ServiceDesc, []identity.Role{identity.Worker}},
	service{healthpb.Health_ServiceDesc, all},
	service{reflectionpb.ServerReflection_ServiceDesc, users},
	service{reflectionalphapb.ServerReflection_ServiceDesc, users},
)

// Roles that go together.
var (
	users = []identity.Role{identity.Client, identity.Operator}
	all   = []identity.Role{identity.Client, identity.Operator, identity.Worker, identity.Coordinator}
)

// service is a service and who may call it.
type service struct {
	desc  grpc.ServiceDesc
	roles []identity.Role
}

// table is who may call which method. Everybody who takes part may look at the
// workers.
func table(services ...service) map[string][]identity.Role {
	byMethod := make(map[string][]identity.Role)
	for _, s := range services {
		for _, method := range s.desc.Methods {
			byMethod["/"+s.desc.ServiceName+"/"+method.MethodName] = s.roles
		}
		for _, stream := range s.desc.Streams {
			byMethod["/"+s.desc.ServiceName+"/"+stream.StreamName] = s.roles
		}
	}
	byMethod[pb.FleetService_ListWorkers_FullMethodName] = []identity.Role{identity.Client, identity.Operator, identity.Worker}
	return byMethod
}

// permit refuses a call that its caller's certificate does not permit.
func permit(ctx context.Context, method string) error {
	may := roles[method]
	if len(may) == 0 {
		return api.Errorf(api.Forbidden, "nobody may call %s", method)
	}
	return identity.Require(ctx, may...)
}

// guards have every call permitted first.
func guards() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(func(ctx context.Context, r any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := permit(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			return handle(ctx, r)
		}),
		grpc.ChainStreamInterceptor(func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := permit(stream.Context(), info.FullMethod); err != nil {
				return err
			}
			return handle(server, stream)
		}),
	}
}
