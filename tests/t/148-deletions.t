# The same images pushed by all while they are deleted and garbage goes as soon as it may: no 201 that can't be pulled.
# tests/soak/deletions does it; by hand for an hour: tests/soak/deletions --seconds 3600.
use v5.36;
use Registry limit => 120;
use Registry::Tools;
use FindBin;
use Test::More;

my $ran = run([ $^X, "$FindBin::Bin/../soak/deletions", '--seconds', 10, '--seed', $ENV{CRASH_SEED} // 19 ],
    env => { REGISTRY_SERVER => Registry->program }, timeout => 110);
is($ran->{exit}, 0, 'eight clients, ten seconds') or diag($ran->{out}, $ran->{err});
like($ran->{out}, qr/^all is well$/m, '... nothing is wrong');
like($ran->{out}, qr/\bpulled: [1-9]/, '... with what was pushed');
note($ran->{out});
done_testing();
