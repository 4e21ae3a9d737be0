package shipped

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"icebox/deploy/e2e/server"
)

type composeFile struct {
	Services map[string]service
	Networks map[string]struct {
		IPAM struct {
			Config []struct{ Subnet, Gateway string }
		}
	}
	Volumes map[string]any
}

type service struct {
	Build struct {
		Context, Dockerfile string
	}
	Image           string
	NetworkMode     string `yaml:"network_mode"`
	Networks        []string
	Ports           []string
	Environment     map[string]string
	Volumes         []string
	ReadOnly        bool     `yaml:"read_only"`
	CapDrop         []string `yaml:"cap_drop"`
	SecurityOpt     []string `yaml:"security_opt"`
	Ulimits         map[string]int
	Restart         string
	StopGracePeriod string `yaml:"stop_grace_period"`
}

// compose decodes a Compose file strictly. Its only service must be icebox.
func compose(t *testing.T, path ...string) (composeFile, service) {
	t.Helper()
	var file composeFile
	d := yaml.NewDecoder(strings.NewReader(string(readFile(t, path...))))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		t.Fatal(err)
	}
	s, ok := file.Services["icebox"]
	if !ok || len(file.Services) != 1 {
		t.Fatalf("the services are %v, want only icebox", file.Services)
	}
	if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) {
		t.Errorf("read_only is %t and cap_drop %v, want true and ALL", s.ReadOnly, s.CapDrop)
	}
	return file, s
}

// TestCompose checks that docker-compose.yml matches what the image needs.
func TestCompose(t *testing.T) {
	file, s := compose(t, "docker-compose.yml")
	if s.NetworkMode != "host" {
		t.Errorf("network_mode is %s, want host", s.NetworkMode)
	}
	if _, err := os.Stat(filepath.Join(server.Root(), s.Build.Context, s.Build.Dockerfile)); err != nil {
		t.Errorf("its Dockerfile: %v", err)
	}
	for _, v := range s.Volumes {
		name, path, _ := strings.Cut(v, ":")
		if _, ok := file.Volumes[name]; !ok {
			t.Errorf("the volume %s is not declared", name)
		}
		if !strings.Contains(string(readFile(t, "deploy", "Dockerfile")), "VOLUME "+path+"\n") {
			t.Errorf("the image has no volume at %s", path)
		}
	}
	for variable := range s.Environment {
		if !strings.HasPrefix(variable, "ICEBOX_") {
			t.Errorf("%s is not a setting of icebox", variable)
		}
	}
}

// TestComposePorts checks that the variant publishes exactly the ports that its daemon uses.
func TestComposePorts(t *testing.T) {
	file, s := compose(t, "deploy", "docker-compose.ports.yml")
	c := exec.Command(server.Binary(t), "check")
	for name, value := range s.Environment {
		if strings.HasPrefix(value, "${ICEBOX_EXTERNAL_IP:?") {
			value = "[{public: 203.0.113.7}]"
		}
		if !strings.HasPrefix(value, "${") {
			c.Env = append(c.Env, name+"="+value)
		}
	}
	out, err := c.Output()
	if err != nil {
		t.Fatalf("icebox does not accept its settings: %v", err)
	}
	relay := s.Environment["ICEBOX_TURN_RELAY_PORTS"]
	for _, want := range []string{"relay_ports: " + relay, "- {public: 203.0.113.7}", "- {address: ':3478', transports: [udp, tcp]}", "- {address: ':8080'}"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the configuration in force lacks %q:\n%s", want, out)
		}
	}
	want := []string{"3478:3478/udp", "3478:3478/tcp", relay + ":" + relay + "/udp", "127.0.0.1:8080:8080/tcp"}
	if !slices.Equal(s.Ports, want) {
		t.Errorf("it publishes %v, want %v", s.Ports, want)
	}
	if gateway := file.Networks["icebox"].IPAM.Config[0].Gateway; s.Environment["ICEBOX_HTTP_TRUSTED_PROXIES"] != gateway {
		t.Errorf("the gateway is %s, but icebox trusts the proxy %s", gateway, s.Environment["ICEBOX_HTTP_TRUSTED_PROXIES"])
	}
}
