# Debian's Prometheus scrapes a registry under load: its counters equal those of the clients. Each query of the dashboard has
# an answer. By hand, with a longer load: perl -Itests/lib tests/t/392-prometheus.t --seconds 60
use v5.36;
use Registry limit => 180;
use JSON::PP qw(decode_json);
use Registry::Checks;
use Registry::Client;
use Registry::Tools;
use Test::More;
need('prometheus');

my $seconds = @ARGV == 2 && $ARGV[0] eq '--seconds' ? $ARGV[1] : 10;
my $tmp     = tempdir;
spew("$tmp/rules", "none/** keep all\n");
my $registry = Registry->start(args => [ '--quota', 'a/** 1G', '--retain', "$tmp/rules", '--retain-every', '1s', '--snapshot-every', '5s' ]);
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

# Each client pulls, asks for what is missing, and pushes; and counts what it has sent and got.
is_status($registry->push_image('a/b', 'v1', [ random_bytes(5000) ]), 201, 'an image');
my @sent = in_parallel(4, $seconds + 60, sub ($i) {
    my %n     = (good => 0, missing => 0, pushed => 0, in => 0);
    my $until = time + $seconds;
    for (my $k = 0; time < $until; $k++) {
        my $status = $registry->get('/v2/a/b/manifests/' . ($k % 3 ? 'v1' : 'missing'))->status;
        $n{ $status == 200 ? 'good' : 'missing' }++;
        next if $k % 50;
        my $blob = random_bytes(20_000);
        my $put  = $registry->push_blob('a/b', $blob, way => 'post');
        $n{pushed}++ if $put->status == 201;
        $n{in} += length $blob;
    }
    return \%n;
});
my %all;
for my $one (@sent) { $all{$_} += $one->{$_} for keys %$one }
cmp_ok($all{good}, '>', 100, 'there was some load');
my $series = sub ($status, $method = 'GET', $route = '/v2/{name}/manifests/{reference}') { return qq(sum(registry_requests_total{instance="$target",route="$route",method="$method",status="$status"})) };
for my $case ([ $all{good}, 'its counter equals the clients\' own', 200 ], [ $all{missing}, '... of each status', 404 ], [ $all{pushed}, '... of pushes', 201, 'POST', '/v2/{name}/blobs/uploads/' ]) {
    my ($own, $name, @of) = @$case;
    ok(wait_for(15, sub { (value($series->(@of)) // 0) == $own }), $name) or diag("$own: ", value($series->(@of)));
}
cmp_ok(value(qq(registry_received_bytes_total{instance="$target"})), '>=', $all{in}, '... with their bytes');
is(value(qq(min_over_time(up{instance="$target"}[${seconds}s]))), 1, 'no scrape has failed under load');
cmp_ok(value(qq(max_over_time(scrape_duration_seconds{instance="$target"}[${seconds}s]))), '<', 1, '... or took long');
cmp_ok(value(qq(count_over_time(up{instance="$target"}[${seconds}s]))), '>', $seconds / 2, '... and there were many');
ok(wait_for(30, sub { value(qq(registry_snapshots{instance="$target"})) }), 'a snapshot');
ok(wait_for(30, sub { value(qq(registry_retention_timestamp_seconds{instance="$target"})) }), 'retention');

my $dashboard = decode_json(slurp(($ENV{srcdir} // '.') . '/contrib/grafana/docker-registry-server.json'));
for my $panel (@{ $dashboard->{panels} }) {
    for my $query (map { $_->{expr} } @{ $panel->{targets} // [] }) {
        my $real  = $query =~ s/\$job/registry/gr =~ s/\$instance/$target/gr =~ s/\$__rate_interval/10s/gr;
        my $found = ask($real);
        ok(defined $found, "$panel->{title}: the query is right") or diag($real);
        # There is no backup, and nodes are there with --database only (078-nodes).
        ok(@{ $found // [] } > 0, '... and has an answer') or diag($real) if $query !~ /registry_(?:backup_timestamp|node_)/;
    }
}
finish();
