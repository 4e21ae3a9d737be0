package main

import (
	"errors"
	"fmt"
	"io/fs"

	"icebox/cmd/icebox/admin"
	"icebox/cmd/icebox/statedir"
	"icebox/config"
)

// access finds the running daemon through its state directory. A configuration
// with mistakes is no obstacle where the directory is known all the same: the
// daemon itself will say what they are.
func (p *program) access(f *configFlags) (admin.Access, error) {
	cfg, invalid := p.load(f)
	path := p.stateDirOf(f)
	if invalid == nil {
		path = cfg.StateDir
	}
	dir, err := statedir.OpenExisting(path, newLogger(p.stderr, config.Log{Level: "warn"}, nil))
	var a admin.Access
	if err == nil {
		a, err = admin.ReadAccess(dir)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return a, failure(fmt.Errorf("%w: run this as root or as the daemon's user", err))
	case err != nil && invalid != nil:
		return a, invalid
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, admin.ErrNotRunning):
		return a, failure(fmt.Errorf("no daemon uses the state directory %s: name the right one with --state-dir", path))
	}
	return a, failure(err)
}

// stateDirOf is the state directory as far as it is known without a valid
// configuration.
func (p *program) stateDirOf(f *configFlags) string {
	if dir, ok := f.given()["state_dir"]; ok {
		return dir
	}
	if dir := p.getenv("ICEBOX_STATE_DIR"); dir != "" {
		return dir
	}
	return p.stateDir()
}

// reach is where the daemon can be asked: what it has published in its state
// directory, or, for those who may not read that, what the configuration says.
func (p *program) reach(f *configFlags) (admin.Access, error) {
	access, err := p.access(f)
	if err == nil {
		return access, nil
	}
	cfg, invalid := p.load(f)
	if invalid != nil || cfg.Admin.Address.Port == 0 {
		return admin.Access{}, err
	}
	return admin.At(cfg.Admin.Address.Addr, cfg.Admin.Address.Port), nil
}
