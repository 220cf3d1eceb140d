package Bench;
use v5.36;

# What the benches share: the servers that are measured, all with the same means; a client; numbers.
#
#   my $o = options($usage, size => '1G');
#   tempdir($o);
#   my $server = ours()->start;      # Bench::Servers
#   push_blob($server, 'bench/image', random_file('layer', $o->{size}));
#   $server->stop;
#
# Nothing is killed but what was started here.

use Cwd ();
use Exporter 'import';
use File::Path ();
use File::Temp ();
use FindBin;
use Getopt::Long ();
use List::Util qw(sum);
use POSIX ();
use Time::HiRes qw(time);
use lib "$FindBin::Bin/../lib";
use Bench::Server ();
use Registry::Client ();
use Registry::Tools qw(find_program slurp spew);

our @EXPORT = qw(options wrong end_helpers has tempdir settle push_blob push_small put_manifest get_manifest
    curl_upload curl_download check_download command in_child wait_child in_children timed median ratio number megabytes size_of digest_of fastest_hash random_file
    about_machine $MANIFEST);

our $MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

my $main = $$;
my $usage_failed;
my $tmp;         # all that is written goes below it
my %commands;    # pids

delete @ENV{qw(http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY PORT)};
$| = 1;

# So that END clears up, undisturbed. Perl waits at exit for programs that are read from, before END.
my @signals = qw(INT TERM HUP);
$SIG{$_} = sub {
    $SIG{$_} = 'IGNORE' for @signals;
    end_helpers() if $$ == $main;
    exit 130;
} for @signals;

# The programs and children that are at work.
sub end_helpers () {
    kill 'TERM', keys %commands;
    Bench::Server->end_watchers;
    return;
}

END {
    if ($$ == $main) {
        my $status = $? == 0 || $? == 130 ? $? : $usage_failed ? 2 : 1;
        end_helpers();
        chdir '/';    # File::Path changes the directory, and may have been interrupted
        Bench::Server->stop_all($status == 1);
        File::Path::remove_tree($tmp) if defined $tmp;
        $? = $status;
    }
}

# ---- options ----

# The values of what may be given, by name; each takes --dir and --help besides.
sub options ($usage, %defaults) {
    my %o = (%defaults, dir => $ENV{TMPDIR} // '/tmp');
    my $good = Getopt::Long::GetOptions(\%o, 'help', map { "$_=s" } 'dir', keys %defaults);
    if (!$good || @ARGV || $o{help}) {
        print { $good && $o{help} ? *STDOUT : *STDERR } $usage;
        exit 0 if $good && $o{help};
        wrong();
    }
    for my $name (grep { $_ ne 'size' && $_ ne 'dir' } keys %defaults) {
        wrong("--$name $o{$name}: a number from 1 on is wanted") if $o{$name} !~ /^[1-9]\d{0,5}$/;
    }
    wrong("--dir $o{dir}: no directory that can be written") if !-d $o{dir} || !-w _;
    $o{size} = size_of($o{size}) // wrong("--size $o{size}: a size like 512K, 20M or 4G is wanted") if $o{size};
    return \%o;
}

# Ends the bench: it was called in a wrong way.
sub wrong (@lines) {
    print STDERR "$_\n" for @lines;
    $usage_failed = 1;
    exit 2;
}

sub size_of ($text) {
    my ($n, $unit) = $text =~ /^([1-9]\d{0,9})([KMGkmg]?)$/ or return undef;
    return $n * { '' => 1, K => 1 << 10, M => 1 << 20, G => 1 << 30 }->{ uc $unit };
}

# Open to all: started as root, the registry becomes www-data, and nginx nobody.
sub tempdir ($o = undef) {
    $tmp //= do {
        my $dir = Cwd::abs_path(File::Temp::tempdir('registry-bench-XXXXXX', DIR => $o->{dir}));
        chmod 0755, $dir or die "cannot open up $dir: $!\n";
        $dir;
    };
    return $tmp;
}

# What was written before is on the disk, and won't be written while something else is measured.
sub settle () { command('sync', '-f', $tmp); return }

# ---- programs ----

sub has ($program) { return defined find_program($program) }

# Runs a program to its end and returns its output; dies when it fails. Waits in the kernel: asking
# every now and then would blur the times.
sub command (@command) {
    my $pid = open(my $out, '-|') // die "fork: $!\n";
    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        { no warnings 'exec'; exec { $command[0] } @command }
        print STDERR "cannot run $command[0]: $!\n";
        POSIX::_exit(127);
    }
    local $/;
    $commands{$pid} = 1;
    my $text = <$out> // '';
    my $good = close $out;
    delete $commands{$pid};
    die "failed: @command\n$text" if !$good;
    return $text;
}

# A process of its own for the work; wait_child dies when that failed.
sub in_child ($work) {
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        $SIG{$_} = 'DEFAULT' for @signals;
        my $good = eval { $work->(); 1 };
        print STDERR $@ if !$good;
        POSIX::_exit($good ? 0 : 1);
    }
    $commands{$pid} = 1;
    return $pid;
}

sub wait_child (@pids) {
    my $failed = 0;
    for my $pid (@pids) {
        waitpid $pid, 0;
        $failed ||= $?;
        delete $commands{$pid};
    }
    die "a client failed\n" if $failed;
    return;
}

# The same work, with the numbers from 0 on, by so many at once.
sub in_children ($n, $work) {
    wait_child(map { my $i = $_; in_child(sub { $work->($i) }) } 0 .. $n - 1);
    return;
}

# Seconds, and what the work returned.
sub timed ($work) {
    my $since  = time;
    my $result = $work->();
    return (time - $since, $result);
}

# ---- bytes ----

# A file that no one can compress, on the disk already: { path, size, digest }.
sub random_file ($name, $size) {
    my $path = "$tmp/$name";
    open my $in,  '<:raw', '/dev/urandom' or die "urandom: $!\n";
    open my $out, '>:raw', $path          or die "cannot write $path: $!\n";
    for (my $left = $size; $left > 0;) {
        my $n = sysread $in, my $bytes, $left < 1 << 20 ? $left : 1 << 20 or die "urandom: $!\n";
        (syswrite($out, $bytes) // 0) == $n or die "cannot write $path: $!\n";
        $left -= $n;
    }
    $out->sync && close $out or die "cannot write $path: $!\n";
    return { path => $path, size => $size, digest => digest_of($path) };
}

sub _sha256_by_openssl ($path)   { return command('openssl', 'dgst', '-sha256', '-r', $path) =~ s/ .*//sr }
sub _sha256_by_coreutils ($path) { return command('sha256sum', $path) =~ s/ .*//sr }

# The fastest way to hash a file that this machine has: { name, hash }. Found out once, with a file.
sub fastest_hash ($path = undef) {
    state $fastest;
    return $fastest if $fastest;
    my @ways = grep { find_program($_->{program}) } (
        { program => 'openssl',   name => 'openssl dgst', hash => \&_sha256_by_openssl },
        { program => 'sha256sum', name => 'sha256sum',    hash => \&_sha256_by_coreutils },
    );
    die "neither openssl nor sha256sum is installed\n" if !@ways;
    for my $way (@ways) {
        ($way->{seconds}) = timed(sub { $way->{hash}->($path) });
    }
    ($fastest) = sort { $a->{seconds} <=> $b->{seconds} } @ways;
    return $fastest;
}

sub digest_of ($path) { return 'sha256:' . fastest_hash($path)->{hash}->($path) }

# ---- numbers ----

sub median (@values) {
    my @sorted = sort { $a <=> $b } grep { defined } @values;
    return undef if !@sorted;
    return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}

# The median of what each round says: one that was disturbed doesn't count, nor does a machine that
# gets slower from round to round.
sub ratio ($above, $below) {
    return median(map { defined $above->[$_] && $below->[$_] ? $above->[$_] / $below->[$_] : undef } 0 .. $#$above);
}

# Three digits behind the point, or "-": not measured.
sub number ($n, $format = '%.3f') { return defined $n ? sprintf $format, $n : '-' }

sub megabytes ($kb) { return number(defined $kb ? $kb / 1024 : undef, '%.1f') }

# What share of its CPU the machine gives to whoever was here before us, seen for a second.
sub _busy () {
    my $look = sub { [ slurp('/proc/stat') =~ /^cpu +(.*)/ ? (split / /, $1)[ 0 .. 7 ] : () ] };
    my $before = $look->();
    sleep 1;
    my $now  = $look->();
    my @took = map { $now->[$_] - $before->[$_] } 0 .. 7;
    return 1 - ($took[3] + $took[4]) / (sum(@took) || 1);
}

sub about_machine () {
    my $cores    = () = slurp('/proc/cpuinfo') =~ /^processor\s/mg;
    my ($memory) = slurp('/proc/meminfo') =~ /^MemTotal:\s+(\d+)/;
    my ($type)   = command('df', '--output=fstype', $tmp) =~ /(\S+)\s*\z/;
    return sprintf '%d cores, %.1f GB of memory, files on %s; other programs take %.0f %% of the CPU', $cores,
        ($memory // 0) / 1024**2, $type, 100 * _busy();
}

# ---- the client ----

# One request of little size, and its answer. Dies unless the status is the one that is wanted. All in
# one write: a body in a second one would wait 40 ms for the acknowledgement of the first.
sub _ask ($server, $method, $url, $want, %o) {
    my $content = $o{content} // '';
    my %headers = (%{ $o{headers} // {} }, $method =~ /^P/ ? ('Content-Length' => length $content) : ());
    my $path    = $url =~ s{^https?://[^/]+}{}r;
    my $answer  = $server->{client}->raw($server->{client}->head_of($method, $path, headers => \%headers) . $content, $method);
    die "$server->{name}: $method $path: not $want\n" . $answer->describe if $answer->status != $want;
    return $answer;
}

# curl sends and takes in large bodies: it is faster than what it measures. Returns what it prints:
# the headers of the answer and, last, the body or what --write-out says. Some registries send it on to their S3.
sub _curl (@args) { return command('curl', '-q', '--noproxy', '*', '-sSfL', '-H', 'Expect:', @args) }

# A body without an announced length, in the pieces that curl makes.
sub curl_upload ($method, $file, @args) {
    return _curl('-X', $method, '-H', 'Content-Type: application/octet-stream', '-H', 'Transfer-Encoding: chunked', '-T', $file, @args);
}

# What came and how long it took: "bytes seconds".
sub curl_download ($url, $to = '/dev/null', @args) { return _curl('-o', $to, '-w', '%{size_download} %{time_total}', @args, $url) }

# Dies unless these are the bytes.
sub check_download ($url, $digest, $name) {
    my $got = "$tmp/got";
    _curl('-o', $got, $url);
    my $came = digest_of($got);
    unlink $got;
    die "$name: $url: $came, not $digest\n" if $came ne $digest;
    return;
}

sub _with_digest ($url, $digest) { return $url . ($url =~ /\?/ ? '&' : '?') . "digest=$digest" }

# As docker does it: is it there? POST, PATCH with a chunked body, PUT with the digest. Returns the
# seconds of each.
sub push_blob ($server, $repository, $blob) {
    my %took;
    my $place;
    ($took{begin}, $place) = timed(sub {
        _ask($server, 'HEAD', "/v2/$repository/blobs/$blob->{digest}", 404);
        return _ask($server, 'POST', "/v2/$repository/blobs/uploads/", 202)->header('Location');
    });
    ($took{PATCH}, $place) = timed(sub {
        my $head = curl_upload('PATCH', $blob->{path}, '-D', '-', '-o', '/dev/null', $server->url($place));
        return $head =~ /^location: *(\S+)/mi ? $1 : die "$server->{name}: PATCH without a Location\n";
    });
    ($took{PUT}) = timed(sub { _ask($server, 'PUT', _with_digest($place, $blob->{digest}), 201) });
    return \%took;
}

# A blob that fits into the PUT. Returns its descriptor.
sub push_small ($server, $repository, $type, $bytes) {
    my $digest = Registry::Tools::digest($bytes);
    my $place  = _ask($server, 'POST', "/v2/$repository/blobs/uploads/", 202)->header('Location');
    _ask($server, 'PUT', _with_digest($place, $digest), 201, content => $bytes,
        headers => { 'Content-Type' => 'application/octet-stream' });
    return { mediaType => $type, digest => $digest, size => length $bytes };
}

# Of the descriptors of the config and the layers. Returns its text.
sub put_manifest ($server, $repository, $tag, $config, @layers) {
    my $text = Registry::Tools::json_of({ schemaVersion => 2, mediaType => $MANIFEST, config => $config, layers => \@layers });
    _ask($server, 'PUT', "/v2/$repository/manifests/$tag", 201, content => $text, headers => { 'Content-Type' => $MANIFEST });
    return $text;
}

sub get_manifest ($server, $repository, $tag) {
    return _ask($server, 'GET', "/v2/$repository/manifests/$tag", 200, headers => { Accept => $MANIFEST })->content;
}

1;
