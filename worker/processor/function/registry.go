package function

import (
	"errors"
	"fmt"
	"slices"

	pb "github.com/millrace/millrace/api/millracev1"
	"github.com/millrace/millrace/worker/processor"
)

// maxName is the longest name of a function, in bytes.
const maxName = 63

// Registry holds a binary's functions by name. It never changes.
type Registry struct {
	functions map[string]Function
}

// NewRegistry checks functions and makes a registry of them. The error tells all
// that is wrong with them: a name that is empty, too long or given twice, a type
// that can't be a record, a key, a value or an output.
func NewRegistry(functions ...Function) (*Registry, error) {
	r := &Registry{functions: map[string]Function{}}
	var faults []error
	for _, f := range functions {
		if err := r.add(f); err != nil {
			faults = append(faults, err)
		}
	}
	return r, errors.Join(faults...)
}

func (r *Registry) add(f Function) error {
	switch {
	case f.name == "" || len(f.name) > maxName:
		return fmt.Errorf("function %q: a name has 1 to %d bytes", f.name, maxName)
	case f.fault != nil:
		return fmt.Errorf("function %s: %w", f.name, f.fault)
	}
	if _, ok := r.functions[f.name]; ok {
		return fmt.Errorf("function %s is given twice", f.name)
	}
	r.functions[f.name] = f
	return nil
}

// Lookup finds a function by name.
func (r *Registry) Lookup(name string) (Info, bool) {
	f, ok := r.functions[name]
	return f.info, ok
}

// Names lists the functions, sorted.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.functions))
	for name := range r.functions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// New makes the step that runs one phase of a function. Its Run answers with a
// FATAL failure when there is no such function or phase here.
func New(step *pb.FunctionStep, functions *Registry) processor.Step {
	return &runner{step: step, function: functions.functions[step.GetName()]}
}
