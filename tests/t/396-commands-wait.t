# A backup or a snapshot that meets another one, or a command that works without a server, waits for it and says for
# whom; or it is refused at once with one line, if that is what was asked for.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Fcntl qw(:flock O_RDWR);
use POSIX ();
use Test::More;

my $tmp      = tempdir();
my $registry = Registry->start(args => [ '--snapshot-every', '0' ]);
my $dir      = $registry->dir;
my @backup   = ('backup', "$tmp/backups", '--dir', $dir);
my @snapshot = ('snapshot', '--dir', $dir);
is_status($registry->push_image('app', 'v1', [ random_bytes(200_000) ]), 201, 'an image');

sub command (@args) { return Registry->try(\@args, timeout => 60) }

sub is_free ($file) {
    open my $f, '<', $file or return 0;
    return flock $f, LOCK_SH | LOCK_NB;
}

# Runs a command in the background, in a terminal of its own if that program is there.
sub begin (@args) {
    my $out = tempdir() . '/out';
    spew($out, '');
    my $pid = fork // die "fork: $!";
    return ($pid, $out) if $pid;
    open STDIN, '<', '/dev/null' or POSIX::_exit(126);
    open STDOUT, '>', $out or POSIX::_exit(126);
    open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
    my @command = (Registry->program, @args);
    exec 'script', '-qefc', join(' ', map { "'$_'" } @command), '/dev/null' if find_program('script');
    exec @command or POSIX::_exit(127);
}

sub ends_well ($pid, $out, $what) {
    ok(wait_for(40, sub { waitpid($pid, POSIX::WNOHANG()) == $pid }), $what) or diag(slurp($out));
    return is($?, 0, '... and works') || diag(slurp($out));
}

my $BUSY = qr/^docker-registry-server: the snapshot \(process $$\) is running in this registry, and only one backup or snapshot is made at a time$/m;
my %last = (backup => \@backup, snapshot => \@snapshot);

subtest 'beside a server' => sub {
    works(command(@snapshot), 'a snapshot');
    is(slurp("$dir/db/backup.lock"), 'snapshot', '... has said what it is');
    for my $what (qw(backup snapshot)) {
        sysopen my $lock, "$dir/db/backup.lock", O_RDWR or die "lock: $!";
        flock $lock, LOCK_EX or die "flock: $!";
        my $ran = command(@{ $last{$what} }, '--wait', 0);
        is_refused($ran, $BUSY, "$what --wait 0 is refused");
        cmp_ok($ran->{seconds}, '<', 20, '... soon');
        is_refused(command(@{ $last{$what} }, '--wait', '2s'), $BUSY, '--wait 2s, too');
        my ($pid, $out) = begin(@{ $last{$what} });
        ok(wait_for(20, sub { slurp($out) =~ /waiting for the snapshot \(process $$\)/ }), "$what says for whom it waits") or diag(slurp($out)) if find_program('script');
        is(waitpid($pid, POSIX::WNOHANG()), 0, '... and goes on waiting');
        close $lock;
        ends_well($pid, $out, '... until that has ended');
        spew("$dir/db/backup.lock", 'snapshot');
    }
};

subtest 'two backups into one directory' => sub {
    open my $place, '<', "$tmp/backups" or die "$tmp/backups: $!";
    flock $place, LOCK_EX or die "flock: $!";
    is_refused(command(@backup, '--wait', 0), qr/^docker-registry-server: another backup to \Q$tmp\E\/backups is running \(process $$\)$/m, '--wait 0 is refused');
    my ($pid, $out) = begin(@backup);
    ok(wait_for(20, sub { slurp($out) =~ /waiting for another backup to \Q$tmp\E\/backups \(process $$\)/ }), 'the other one says for whom it waits') or diag(slurp($out)) if find_program('script');
    close $place;
    ends_well($pid, $out, '... until that has ended');
};

# Each command beside a server has one of eight places there.
subtest 'many that wait' => sub {
    sysopen my $lock, "$dir/db/backup.lock", O_RDWR or die "lock: $!";
    flock $lock, LOCK_EX or die "flock: $!";
    my @waiting = map { [ begin(@snapshot, '--wait', '100s') ] } 1 .. 8;
    my @refused;
    ok(wait_for(40, sub { push @refused, grep { waitpid($_->[0], POSIX::WNOHANG()) == $_->[0] } @waiting; @refused == 4 }), 'half of them are refused');
    like(slurp($_->[1]), qr/the \w+ \(process $$\) is running in this registry, and 4 commands wait for it already: try again later/, '... with the reason') for @refused;
    works(command('gc', '--dir', $dir), 'another command is served');
    close $lock;
    for my $other (@waiting) {
        ends_well(@$other, 'one that waited comes to an end') if !grep { $_ == $other } @refused;
    }
    spew("$dir/db/backup.lock", 'snapshot');
};

subtest 'a lock that tells nothing' => sub {
    for my $text ('', "\e[31m\n", 'x' x 100) {
        spew("$dir/db/backup.lock", $text);
        sysopen my $lock, "$dir/db/backup.lock", O_RDWR or die "lock: $!";
        flock $lock, LOCK_EX or die "flock: $!";
        like(command(@snapshot, '--wait', 0)->{err}, qr/^docker-registry-server: the (?:command|x{15}) \(process $$\) is running/m, 'no text of it gets anywhere');
    }
};

$registry->stop;

# It reads slowly, and so has the directory for minutes.
subtest 'without a server' => sub {
    my $fsck = fork // die "fork: $!";
    if ($fsck == 0) {
        open STDOUT, '>', '/dev/null' or POSIX::_exit(126);
        exec Registry->program, 'fsck', '--rate', '1K', '--dir', $dir or POSIX::_exit(127);
    }
    ok(wait_for(20, sub { !is_free("$dir/db/lock") }), 'fsck has the directory');
    for my $what (qw(backup snapshot)) {
        is_refused(command(@{ $last{$what} }, '--wait', 0), qr/^docker-registry-server: the command fsck \(process $fsck\) works in \Q$dir\E: try again when it has ended$/m, "$what --wait 0 is refused");
    }
    my ($pid, $out) = begin(@snapshot);
    ok(wait_for(20, sub { slurp($out) =~ /waiting for the command fsck \(process $fsck\)/ }), 'a snapshot says for whom it waits') or diag(slurp($out)) if find_program('script');
    is(waitpid($pid, POSIX::WNOHANG()), 0, '... and goes on waiting');
    kill 'TERM', $fsck;
    waitpid $fsck, 0;
    ends_well($pid, $out, '... until that has ended');
};

is_refused(command(@snapshot, '--wait', 'x'), qr/--wait x: must be a time/, 'a wrong time');
finish();
