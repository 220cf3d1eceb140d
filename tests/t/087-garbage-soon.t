# Garbage goes when its lease is over, however long --gc-interval is, and the rest stays.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $registry = Registry->start(args => [ '--lease', '3s', '--history-keep', '0', '--gc-interval', '24h' ]);
my @layers   = map { random_bytes(1000 + $_) } 1 .. 30;
my $kept     = random_bytes(2000);

is_status($registry->push_image('a/b', 'kept', [$kept]), 201, 'an image that stays');
my @kept   = $registry->files('layers');
my @images = map { $registry->push_image('a/b', "v$_", [ $layers[$_] ])->header('Docker-Content-Digest') } 0 .. $#layers;
is(scalar(grep { $registry->delete("/v2/a/b/manifests/$_")->status == 202 } @images), 30, 'thirty that are deleted');
ok($registry->files('layers') > @kept, 'the files of their layers stay for the time of the lease');
my %kept  = map { $_ => 1 } @kept;
my @going = grep { !$kept{$_} } $registry->files('layers');
my $bytes = 0;
$bytes += -s $registry->dir . "/$_" for @going;
ok(wait_for(60, sub { $registry->files('layers') == @kept }), '... and go after it') or diag(join "\n", $registry->files('layers'));
is_deeply([ $registry->files('layers') ], \@kept, 'those of the other image are there');
is_blob($registry, 'a/b', $kept, 'it can be pulled');
is_status($registry->head('/v2/a/b/blobs/' . digest($layers[0])), 404, 'what is gone is not there for clients, either');
is_status($registry->push_image('a/b', 'again', [ $layers[0] ]), 201, 'it can come again');
is_blob($registry, 'a/b', $layers[0], '... and is served');
is_tidy($registry);
my $metrics;
ok(wait_for(10, sub { ($metrics = $registry->get('/metrics')->content) =~ /^registry_garbage_freed_total (\d+)$/m && $1 >= @going }), 'what went is counted');
like($metrics, qr/^registry_garbage_$_$/m, "... $_") for 'found_total ' . @going, 'freed_total ' . @going, "freed_bytes_total $bytes", 'timestamp_seconds [\d.]+';

finish();
