package main

import (
	"os"

	rmq "github.com/apache/rocketmq-clients/golang/v5"
	"go.uber.org/zap"
)

// moveLogs sends the client's log to standard output, which is standard error by then, instead of to a file in the home
// folder of the user. The log of its calls, a file in the folder for temporary ones that all its processes on a machine
// share, is not kept.
func moveLogs() error {
	if err := os.Setenv(rmq.ENABLE_CONSOLE_APPENDER, "true"); err != nil {
		return err
	}
	rmq.ResetLogger()
	connect := rmq.NewRpcClient
	rmq.NewRpcClient = func(target string, options ...rmq.RpcClientOption) (rmq.RpcClient, error) {
		quiet := rmq.WithRpcClientConnOption(rmq.WithZapLogger(zap.NewNop()))
		return connect(target, append(options, quiet)...)
	}
	return nil
}
