# A power loss and failing system calls, in the store alone: whatever the kernel leaves of what wasn't synced, the store
# opens again, all that was acknowledged is there, and what a crash leaves goes. tests/crash/README says how to run more.
use v5.36;
use Registry limit => 240;
use Registry::Tools;
use File::Basename qw(dirname);
use Test::More;

my $crash = dirname(Registry->program) . '/tests/crash';
skip_or_fail("$crash/store is missing: make check builds it") if !-x "$crash/store";
skip_or_fail('a library before the sanitizers is no good') if Registry->sanitized;
my $tmp  = tempdir();
my $work = -w '/dev/shm' ? "/dev/shm/registry-crash-$$" : "$tmp/work";
END { run([ 'rm', '-rf', $work ]) if defined $work }
mkdir $work or die "$work: $!";

# Each prints a line for a fault, with what repeats it.
# The last one: a log of the database can't begin, and the library's commit returns 0 all the same.
for my $case ([ power => 1, 60, 100 ], [ power => 2, 25, 40 ], [ faults => 1, 30, 40 ], [ faults => 12, 40, 1, 65 ]) {
    my ($what, @numbers) = @$case;
    my $ran = run([ "$crash/store", $what, "$work/$what", @numbers ],
        env => { CRASH_SHIM_LIBRARY => "$crash/shim.so" }, timeout => 200);
    is($ran->{exit}, 0, "$what, seed $numbers[0]: $numbers[2] times a whole store") or diag($ran->{out}, $ran->{err});
    like($ran->{out}, qr/, 0 faults,/, '... that many');
}
my ($hit) = run([ "$crash/store", 'faults', "$work/hit", 3, 20, 12 ], env => { CRASH_SHIM_LIBRARY => "$crash/shim.so" },
    timeout => 100)->{out} =~ /(\d+) with a failure/;
cmp_ok($hit // 0, '>=', 4, 'calls do fail');
done_testing();
