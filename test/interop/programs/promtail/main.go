// Promtail as its package makes it: Loki no longer brings the command, only what it was made of.
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/grafana/loki/v3/clients/pkg/promtail"
	"github.com/grafana/loki/v3/clients/pkg/promtail/client"
	"github.com/grafana/loki/v3/clients/pkg/promtail/config"
	"github.com/prometheus/client_golang/prometheus"
	"gopkg.in/yaml.v2"
)

func main() {
	var cfg config.Config
	cfg.RegisterFlags(flag.CommandLine)
	file := flag.String("config.file", "", "a Promtail configuration")
	flag.Parse()
	text, err := os.ReadFile(*file)
	if err != nil {
		log.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(text, &cfg); err != nil {
		log.Fatal(err)
	}
	metrics := client.NewMetrics(prometheus.DefaultRegisterer)
	p, err := promtail.New(cfg, nil, metrics, false)
	if err != nil {
		log.Fatal(err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		p.Shutdown()
	}()
	if err := p.Run(); err != nil {
		log.Fatal(err)
	}
}
