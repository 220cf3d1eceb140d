# A server that starts while a command works in its data directory waits for it, and says so; it doesn't wait for
# another server.
use v5.36;
use Registry limit => 100;
use Registry::Checks;
use Registry::Tools;
use POSIX ();
use Test::More;

my $registry = Registry->start;
is_status($registry->push_image('app', 'v1', [ random_bytes(200_000) ]), 201, 'an image');
my $dir = $registry->dir;
is_refused(Registry->try([ '--dir', $dir, '--port', 0, '--listen', '127.0.0.1', is_root() ? ('--run-as', 'www-data') : () ]), qr/in use by another server \(process \d+\)/, 'a second server is refused');
$registry->stop;

# It reads slowly, and so has the directory for minutes.
my $pid = fork // die "fork: $!";
if ($pid == 0) {
    open STDOUT, '>', '/dev/null' or POSIX::_exit(126);
    exec Registry->program, 'fsck', '--rate', '1K', '--dir', $dir or POSIX::_exit(127);
}
ok(wait_for(20, sub { !flock_is_free("$dir/db/lock") }), 'fsck has the directory');

sub flock_is_free ($file) {
    open my $f, '<', $file or return 0;
    return flock $f, 5;    # LOCK_SH | LOCK_NB
}

my $out = tempdir() . '/out';
spew($out, '');
my $server = fork // die "fork: $!";
if ($server == 0) {
    open STDOUT, '>', $out or POSIX::_exit(126);
    open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
    exec Registry->program, '--dir', $dir, '--port', 0, '--listen', '127.0.0.1', (is_root() ? ('--run-as', 'www-data') : ()) or POSIX::_exit(127);
}
ok(wait_for(20, sub { slurp($out) =~ /waiting for a command that uses the data directory" command=fsck pid=$pid$/m }), 'a start waits for it, and says so') or diag(slurp($out));
is(waitpid($server, POSIX::WNOHANG()), 0, '... and goes on waiting');
kill 'TERM', $pid;
waitpid $pid, 0;
ok(wait_for(20, sub { slurp($out) =~ /^Server is listening on port \d+$/m }), '... and starts when it has ended') or diag(slurp($out));
is(scalar(() = slurp($out) =~ /waiting for a command/g), 1, '... with one line');
kill 'TERM', $server;
waitpid $server, 0;
is($?, 0, 'it ends well');
finish();
