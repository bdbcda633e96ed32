// Command gradient trains a small model by averaging what the batches found: a
// chain of two stages, in one pass over the data (Zinkevich et al., NIPS 2010,
// algorithm 3). Each batch fits a line by stochastic gradient descent over its
// own points; the second stage collects the models and averages them, weighted
// by the points that each has seen.
//
//	go run ./examples/gradient run examples/gradient/job.yaml
package main

import (
	"context"

	"github.com/millrace/millrace/cmd/cli"
	"github.com/millrace/millrace/worker"
)

// point is one observation.
type point struct {
	X float64 `json:"x"`
	Y float64 `json:"y"`
}

// model is y = Slope·x + Intercept, found from so many points.
type model struct {
	Slope     float64 `json:"slope"`
	Intercept float64 `json:"intercept"`
	Points    int64   `json:"points"`
}

const (
	rate   = 0.05
	epochs = 200
)

// train fits a model to a batch.
func train(ctx context.Context, batch *worker.Input[point], emit func(model)) error {
	var points []point
	for p := range batch.All() {
		points = append(points, p)
	}
	m := model{Points: int64(len(points))}
	for range epochs {
		for _, p := range points {
			miss := m.Slope*p.X + m.Intercept - p.Y
			m.Slope -= rate * miss * p.X
			m.Intercept -= rate * miss
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	batch.Count("points", m.Points)
	emit(m)
	return nil
}

// average makes one model of many.
func average(_ context.Context, batch *worker.Input[model], emit func(model)) error {
	var sum model
	for m := range batch.All() {
		sum.Slope += m.Slope * float64(m.Points)
		sum.Intercept += m.Intercept * float64(m.Points)
		sum.Points += m.Points
	}
	if sum.Points == 0 {
		return nil
	}
	sum.Slope /= float64(sum.Points)
	sum.Intercept /= float64(sum.Points)
	emit(sum)
	return nil
}

func main() { cli.Main(worker.Batch("train", train), worker.Batch("average", average)) }
