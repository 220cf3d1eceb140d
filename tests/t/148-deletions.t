# The same images pushed by all while they are deleted and garbage goes as soon as it may: no 201 that can't be pulled, and
# no blob that stays. tests/soak/deletions does it, with one server, and with two of one database; by hand for an hour:
# tests/soak/deletions --seconds 3600.
use v5.36;
use Registry limit => 300;
use Registry::Nodes;
use Registry::Tools;
use FindBin;
use Test::More;

sub is_well ($name, @options) {
    my $ran = run([ $^X, "$FindBin::Bin/../soak/deletions", '--seconds', 10, '--seed', $ENV{CRASH_SEED} // 19, @options ],
        env => { REGISTRY_SERVER => Registry->program }, timeout => 140);
    is($ran->{exit}, 0, "$name: eight clients, ten seconds") or diag($ran->{out}, $ran->{err});
    like($ran->{out}, qr/^all is well$/m, '... nothing is wrong');
    like($ran->{out}, qr/\bpulled: [1-9]/, '... with what was pushed');
    note($ran->{out});
    return;
}

is_well('one server');
my $missing = Registry::Nodes->missing;
if (!defined $missing) { is_well('two servers', '--nodes', 2) }
elsif (($ENV{CI} // '') eq 'true') { fail($missing) }
else { SKIP: { skip $missing, 1 } }
done_testing();
