package Registry::Tools;
use v5.36;

# What any test needs besides the registry itself: temporary directories, other programs with a
# time limit, work in parallel, waiting for a condition, bytes and their digests.

use Digest::SHA ();
use Exporter 'import';
use File::Temp ();
use IO::Socket::INET ();
use JSON::PP ();
use POSIX  ();
use Test::More ();
use Time::HiRes qw(sleep time);

our @EXPORT = qw(tempdir run wait_for in_parallel need skip_or_fail find_program is_root
    random_bytes cheap_bytes digest file_digest spew slurp flip free_port make_certificate serial_at json_of);

my @tempdirs;

# A directory that everybody may enter, gone at the end of the test unless REGISTRY_TEST_KEEP is set.
sub tempdir () {
    my $dir = File::Temp->newdir('registry-test-XXXXXX', TMPDIR => 1, CLEANUP => !$ENV{REGISTRY_TEST_KEEP});
    push @tempdirs, $dir;
    print STDERR "# keeps $dir\n" if $ENV{REGISTRY_TEST_KEEP};
    chmod 0755, "$dir" or die "cannot open up $dir: $!";
    return "$dir";
}

sub is_root () { return $> == 0 }

sub find_program ($name) {
    for my $dir (split(/:/, $ENV{PATH} // ''), '/usr/sbin', '/sbin') {
        return "$dir/$name" if -x "$dir/$name" && !-d _;
    }
    return undef;
}

# Ends the test as a named skip; where everything is supposed to be there (CI), as a failure.
sub skip_or_fail ($why) {
    Test::More::BAIL_OUT('skip_or_fail after the first check') if Test::More->builder->current_test;
    if (($ENV{CI} // '') eq 'true') {
        Test::More::fail($why);
        Test::More::done_testing();
        exit 1;
    }
    Test::More::plan(skip_all => $why);
}

# The programs without which a test says nothing.
sub need (@programs) {
    my @missing = grep { !find_program($_) } @programs;
    skip_or_fail(join(', ', @missing) . (@missing > 1 ? ' are' : ' is') . " not installed") if @missing;
    return;
}

# Runs a program to its end: { exit, signal, out, err, seconds, timed_out }. Options: env, cwd,
# timeout (60 s; then it is killed), stdin (text).
sub run ($command, %o) {
    my $tmp     = File::Temp->newdir();
    my $limit   = $o{timeout} // 60;
    my $started = time;
    spew("$tmp/in", $o{stdin} // '');
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN,  '<', "$tmp/in"  or POSIX::_exit(126);
        open STDOUT, '>', "$tmp/out" or POSIX::_exit(126);
        open STDERR, '>', "$tmp/err" or POSIX::_exit(126);
        chdir $o{cwd} or POSIX::_exit(126) if defined $o{cwd};
        $ENV{$_} = $o{env}{$_} for keys %{ $o{env} // {} };
        { no warnings 'exec'; exec { $command->[0] } @$command }
        print STDERR "cannot run $command->[0]: $!\n";
        POSIX::_exit(127);
    }
    my $timed_out = !wait_for($limit, sub { waitpid($pid, POSIX::WNOHANG()) == $pid });
    my $status    = $?;
    if ($timed_out) {
        kill 'KILL', $pid;
        waitpid $pid, 0;
        $status = $?;
    }
    return {
        exit      => $status >> 8,
        signal    => $status & 127,
        out       => slurp("$tmp/out"),
        err       => slurp("$tmp/err"),
        seconds   => time - $started,
        timed_out => $timed_out,
    };
}

# Asks until the answer is true and returns it; undef when the limit (seconds) has passed.
sub wait_for ($limit, $condition) {
    my $end = time + $limit;
    while (1) {
        my $answer = $condition->();
        return $answer if $answer;
        return undef   if time >= $end;
        sleep 0.02;
    }
}

# Runs $work->($i) for 0 .. $n-1 in a process each, and returns what they returned (data that JSON
# can carry), in order; undef for one that died or was still at it after $limit seconds.
sub in_parallel ($n, $limit, $work) {
    my $tmp = File::Temp->newdir();
    my %at;
    for my $i (0 .. $n - 1) {
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            srand;
            my $value = eval { $work->($i) };
            my $why   = $@;
            print STDERR "# in parallel, $i: $why" if $why;
            spew("$tmp/$i", JSON::PP->new->allow_nonref->encode($value)) if !$why;
            @tempdirs = ();    # those that it made; others are their makers'
            POSIX::_exit($why ? 1 : 0);
        }
        $at{$pid} = $i;
    }
    my @values = (undef) x $n;
    my $reap   = sub {
        for my $pid (keys %at) {
            next if waitpid($pid, POSIX::WNOHANG()) != $pid;
            my $i = delete $at{$pid};
            $values[$i] = JSON::PP->new->allow_nonref->decode(slurp("$tmp/$i")) if $? == 0;
        }
        return !%at;
    };
    if (!wait_for($limit, $reap)) {
        Test::More::diag("in parallel: number $_ not done after $limit s") for sort values %at;
        kill 'KILL', keys %at;
        waitpid $_, 0 for keys %at;
    }
    return @values;
}

# Bytes that nobody can compress.
sub random_bytes ($n) {
    open my $in, '<:raw', '/dev/urandom' or die "urandom: $!";
    my $bytes = '';
    while (length $bytes < $n) {
        read $in, $bytes, $n - length $bytes, length $bytes or die "urandom: $!";
    }
    return $bytes;
}

# As many bytes as wanted, different each time, made faster than random ones.
sub cheap_bytes ($n) {
    my $block = random_bytes(1 << 16);
    my $bytes = '';
    my $i     = 0;
    $bytes .= pack('N', $i++) . $block while length $bytes < $n;
    return substr $bytes, 0, $n;
}

sub digest ($bytes, $algorithm = 'sha256') {
    my $n = $algorithm =~ s/^sha//r;
    return "$algorithm:" . Digest::SHA->new($n)->add($bytes)->hexdigest;
}

sub file_digest ($path) { return 'sha256:' . Digest::SHA->new(256)->addfile($path, 'b')->hexdigest }

sub spew ($path, $bytes) {
    open my $out, '>:raw', $path or die "cannot write $path: $!";
    print {$out} $bytes;
    close $out or die "cannot write $path: $!";
    return $path;
}

# Changes bits of one byte of a file, whose mode stays.
sub flip ($path, $at, $mask = "\x10") {
    my $mode = (stat $path)[2] & 07777;
    chmod 0644, $path;
    open my $f, '+<:raw', $path or die "$path: $!";
    sysseek $f, $at, 0;
    sysread $f, my $byte, 1;
    sysseek $f, $at, 0;
    syswrite $f, $byte ^. $mask;
    close $f or die "$path: $!";
    chmod $mode, $path;
    return;
}

sub slurp ($path) {
    open my $in, '<:raw', $path or return '';
    local $/;
    return scalar(<$in>) // '';
}

# A port that nobody uses at this moment, and that the kernel gives to nobody who asks for any.
sub free_port () {
    for (1 .. 1000) {
        my $port = 10_000 + int rand 20_000;
        return $port if IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 1);
    }
    die 'no free port';
}

# A certificate for 127.0.0.1, 0.0.0.0 and registry.test: paths of certificate and key. It is signed by itself,
# or by another one (its paths).
sub make_certificate ($dir, $name, $serial = 1, @by) {
    my ($cert, $key) = ("$dir/$name.crt", "$dir/$name.key");
    my $made = run([
        'openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '90', '-subj', "/CN=$name",
        '-addext', 'subjectAltName=IP:127.0.0.1,IP:0.0.0.0,DNS:registry.test', '-set_serial', $serial,
        '-keyout', $key, '-out', $cert, @by ? ('-CA', $by[0], '-CAkey', $by[1]) : (),
    ]);
    die "openssl: $made->{err}" if $made->{exit};
    return ($cert, $key);
}

# The serial number of the certificate that a port shows; 0 when it shows none.
sub serial_at ($port) {
    my $show = "openssl s_client -connect 127.0.0.1:$port </dev/null 2>/dev/null | openssl x509 -noout -serial";
    my $seen = run([ 'sh', '-c', $show ]);
    return $seen->{out} =~ /serial=0*([0-9A-F]+)/ ? hex $1 : 0;
}

sub json_of ($value) { return JSON::PP->new->canonical->encode($value) }

1;
