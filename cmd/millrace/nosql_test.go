//go:build !cgo

package main_test

const hasSQL = false
