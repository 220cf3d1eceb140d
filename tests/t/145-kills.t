# Any process dies at any moment, the master and nginx included, while clients push, move and delete tags, delete images
# and mount blobs: nothing that was acknowledged is missing or changed, and nothing leaks. tests/crash/kill does it.
use v5.36;
use Registry limit => 240;
use Registry::Tools;
use FindBin;
use Test::More;

my $seed = $ENV{CRASH_SEED} // 19;
my $ran  = run([ $^X, "$FindBin::Bin/../crash/kill", '--kills', 30, '--clients', 3, '--seed', $seed ],
    env => { REGISTRY_SERVER => Registry->program }, timeout => 200);
is($ran->{exit}, 0, "thirty kills, seed $seed") or diag($ran->{out}, $ran->{err});
like($ran->{out}, qr/^all is well$/m, '... nothing is wrong');
my ($checked) = $ran->{out} =~ /(\d+) acknowledged things checked/;
cmp_ok($checked // 0, '>', 30, '... of what was acknowledged');
like($ran->{out}, qr/after all leases nothing is left/, '... and nothing leaks');
note($ran->{out});
done_testing();
