package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/millrace/millrace/api"
	"github.com/millrace/millrace/api/dataplane"
	"github.com/millrace/millrace/cmd/cli/settings"
	"github.com/millrace/millrace/identity"
)

// connectWithin bounds one attempt to reach a coordinator.
const connectWithin = 5 * time.Second

// clientOptions say which coordinator a command talks to, and as whom.
type clientOptions struct {
	server string
	tls    identity.Files
}

// clientFlags are the flags of every command that talks to a coordinator.
var clientFlags = []string{"server", "tls-cert", "tls-key", "tls-ca"}

func addClientFlags(cmd *cobra.Command) *clientOptions {
	o := &clientOptions{server: defaultListen}
	f := settings.Flags{FlagSet: cmd.Flags()}
	f.SortFlags = false
	f.Text(&o.server, "server", "host:port", "", "the coordinator's address; port 7400 if it has none")
	addTLSFlags(f, &o.tls)
	completeFiles(cmd)
	return o
}

// link leads to a coordinator, and to the workers that hold results.
type link struct {
	*api.Client
	workers *dataplane.Pool
	server  string
}

// connect makes a link. Nothing is sent yet.
func (a *app) connect(o *clientOptions) (*link, error) {
	server, err := serverAddress(o.server)
	if err != nil {
		return nil, usage("--server %q: %w", o.server, err)
	}
	options := []grpc.DialOption{
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectWithin}),
		grpc.WithUserAgent("millrace/" + version().Version),
	}
	var toWorkers *tls.Config
	if o.tls.Set() {
		keeper, err := identity.Open(o.tls)
		if err != nil {
			return nil, usage("%w", err)
		}
		toWorkers = keeper.Client(identity.Worker)
		options = append(options, grpc.WithTransportCredentials(keeper.ClientCredentials(identity.Coordinator)))
	}
	client, err := api.Dial(server, options...)
	if err != nil {
		return nil, usage("--server: %w", err)
	}
	return &link{client, dataplane.NewPool(toWorkers), server}, nil
}

// serverAddress is HOST:PORT of a coordinator, of which the port may be left out.
func serverAddress(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		_, port, _ = net.SplitHostPort(defaultListen)
		host = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return "", errors.New("HOST:PORT is meant, such as coordinator.example:7400")
		}
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" || strings.ContainsAny(host, "/ ") {
		return "", errors.New("HOST:PORT is meant, such as coordinator.example:7400")
	}
	return net.JoinHostPort(host, port), nil
}

// Close ends the connections. What they have to say then helps nobody.
func (l *link) Close() {
	l.Client.Close()
	l.workers.Close()
}

// told is an error of a call as its user needs it.
func (l *link) told(ctx context.Context, err error) error {
	if status, ok := isInterrupted(ctx); ok {
		return &failure{status, context.Cause(ctx)}
	}
	switch text := err.Error(); {
	case strings.Contains(text, "unknown service millrace."):
		return failed(fmt.Errorf("what answers at %s is no coordinator; a worker's data port? (%w)", l.server, err))
	case strings.Contains(text, "error reading server preface"):
		return failed(fmt.Errorf("what answers at %s does not speak gRPC as we do: a gossip port, or one that wants TLS? (%s)", l.server, undressed(err)))
	}
	if api.CodeOf(err) == api.Unavailable {
		err = fmt.Errorf("no coordinator answers at %s: %s\nIs it running? --server or MILLRACE_SERVER names another one", l.server, undressed(err))
	}
	if api.CodeOf(err) == api.Invalid {
		return &failure{statusUsage, err}
	}
	return failed(err)
}

// undressed is what an error of a connection says, without gRPC's own words
// around it.
func undressed(err error) string {
	_, text, found := strings.Cut(err.Error(), `desc = "transport: `)
	if !found {
		return err.Error()
	}
	return strings.TrimPrefix(strings.TrimSuffix(text, `"`), "Error while dialing: ")
}

// with runs what a command does over a link.
func (a *app) with(ctx context.Context, o *clientOptions, do func(*link) error) error {
	l, err := a.connect(o)
	if err != nil {
		return err
	}
	defer l.Close()
	return do(l)
}
