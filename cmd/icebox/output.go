package main

import (
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"icebox/cmd/icebox/logqueue"
	"icebox/config"
)

// flushTimeout is how long the process waits at its end until stdout and stderr are written.
const flushTimeout = time.Second

// useQueues replaces stdout and stderr by queues. Writes to a queue never block, and the process survives if the reader
// of stdout or stderr ends. log has the format of the log lines about the queues.
func (p *program) useQueues(log config.Log) {
	signal.Ignore(syscall.SIGPIPE) // the runtime would end the process after a failed write to stdout or stderr
	stdout := logqueue.New(p.stdout, nil)
	stderr := logqueue.New(p.stderr, reportMissing(log.Format))
	p.stdout, p.stderr, p.queues = stdout, stderr, []*logqueue.Queue{stderr, stdout}
}

// reportMissing returns a function that logs how many lines are missing. It does so at every log.level, because the lines may
// have been errors.
func reportMissing(format config.LogFormat) logqueue.Report {
	return func(w io.Writer, lines int) {
		newLogger(w, config.Log{Level: "warn", Format: format}, nil).Warn("log lines are missing here, because they could not be written in time", "lines", lines)
	}
}

// flush waits until all output is written or flushTimeout has passed.
func (p *program) flush() {
	end := time.Now().Add(flushTimeout)
	for _, q := range p.queues {
		q.Close(time.Until(end))
	}
}

// daemonLogger returns the logger of a daemon. The standard library's package log, in which net/http reports some faults of
// servers, uses it too.
func (p *program) daemonLogger(c config.Log, level *slog.LevelVar) *slog.Logger {
	log := newLogger(p.stderr, c, level)
	slog.SetDefault(log)
	return log
}
