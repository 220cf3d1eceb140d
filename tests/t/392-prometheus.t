# Debian's Prometheus scrapes a registry under load: its counters equal those of the clients. Each query of the dashboard has
# an answer.
use v5.36;
use Registry limit => 90;
use JSON::PP qw(decode_json);
use Registry::Checks;
use Registry::Client;
use Registry::Tools;
use Test::More;
need('prometheus');

my $registry = Registry->start;
my $tmp      = tempdir;
my $port     = free_port;
my $target   = '127.0.0.1:' . $registry->port;
spew("$tmp/prometheus.yml", <<~"END");
    global: { scrape_interval: 1s, scrape_timeout: 1s }
    scrape_configs:
      - job_name: registry
        static_configs:
          - targets: ["$target"]
    END
my $pid = fork // die "fork: $!";
if ($pid == 0) {
    open STDOUT, '>', "$tmp/log" or exit 1;
    open STDERR, '>&', \*STDOUT or exit 1;
    exec 'prometheus', "--config.file=$tmp/prometheus.yml", "--storage.tsdb.path=$tmp/data", "--web.listen-address=127.0.0.1:$port" or exit 1;
}
my $prometheus = Registry::Client->new(port => $port);
END { if ($pid) { local $?; kill 'TERM', $pid; waitpid $pid, 0 } }

sub escape_query ($text) { return $text =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ger }

# The series of an answer; undef: it is an error.
sub ask ($query) {
    my $response = $prometheus->get('/api/v1/query?query=' . escape_query($query));
    return $response->status == 200 ? decode_json($response->content)->{data}{result} : undef;
}
sub value ($query) { my $found = ask($query) // []; return @$found ? $found->[0]{value}[1] : undef }

ok(wait_for(30, sub { (value(qq(up{instance="$target"})) // 0) == 1 }), 'Prometheus takes /metrics') or diag(slurp("$tmp/log"));

is_status($registry->push_image('a/b', 'v1', [ random_bytes(5000) ]), 201, 'an image');
my @sent = in_parallel(4, 60, sub ($i) {
    my %n = (200 => 0, 404 => 0);
    my $until = time + 5;
    while (time < $until) { $n{ $registry->get('/v2/a/b/manifests/' . (++$n{all} % 3 ? 'v1' : 'missing'))->status }++ }
    return "$n{200} $n{404}";
});
my ($good, $missing) = (0, 0);
for (@sent) { my ($a, $b) = split ' '; $good += $a; $missing += $b }
cmp_ok($good, '>', 100, 'there was some load');
my $series = sub ($status) { return qq(sum(registry_requests_total{instance="$target",route="/v2/{name}/manifests/{reference}",method="GET",status="$status"})) };
ok(wait_for(15, sub { (value($series->(200)) // 0) == $good }), 'its counter equals the clients\' own') or diag("$good: ", value($series->(200)));
is(value($series->(404)), $missing, '... of each status');
is(value(qq(min_over_time(up{instance="$target"}[10s]))), 1, 'no scrape has failed under load');
cmp_ok(value(qq(max_over_time(scrape_duration_seconds{instance="$target"}[10s]))), '<', 1, '... or took long');

my ($top)     = __FILE__ =~ m{^(.*?)/?tests/t/[^/]+$};
my $dashboard = decode_json(slurp(($top eq '' ? '.' : $top) . '/contrib/grafana/docker-registry-server.json'));
for my $panel (@{ $dashboard->{panels} }) {
    for my $query (map { $_->{expr} } @{ $panel->{targets} // [] }) {
        my $real  = $query =~ s/\$job/registry/gr =~ s/\$instance/$target/gr =~ s/\$__rate_interval/10s/gr;
        my $found = ask($real);
        ok(defined $found, "$panel->{title}: the query is right") or diag($real);
        ok(@{ $found // [] } > 0, '... and has an answer') or diag($real) if $query !~ /registry_backup_timestamp/;
    }
}
finish();
