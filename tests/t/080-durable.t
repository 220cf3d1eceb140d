# A push is acknowledged when it is on disk: the file, its directory and the log are flushed before the 201.
use v5.36;
use Registry limit => 90;
use Registry::Checks;
use Registry::Tools;
use Test::More;

BEGIN { need('strace') }

# The system calls of some processes while $work runs, in order: [name, path of the first argument, line].
sub traced ($pids, $work) {
    my $tmp = tempdir();
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDERR, '>', "$tmp/err" or POSIX::_exit(126);
        exec 'strace', '-f', '-y', '-s', '120', '-o', "$tmp/trace", '-e',
            'trace=fsync,fdatasync,link,linkat,rename,renameat2,mkdir,mkdirat,write,writev,sendto,sendmsg',
            map { ('-p', $_) } @$pids;
    }
    my $attached = wait_for(10, sub { (() = slurp("$tmp/err") =~ /attached/g) >= @$pids });
    if ($attached) {
        $work->();
    }
    kill 'TERM', $pid;
    waitpid $pid, 0;
    return undef if !$attached;
    return map { [ /^\d+\s+(\w+)\((?:\d+<([^>]*)>)?/, $_ ] } grep { /^\d+\s+\w+\(/ } split /\n/, slurp("$tmp/trace");
}

# The number of the first call from $from on whose name and line match.
sub first_call ($calls, $from, $name, $pattern) {
    for my $i ($from .. $#$calls) {
        return $i if $calls->[$i][0] =~ /^(?:$name)$/ && $calls->[$i][-1] =~ $pattern;
    }
    return undef;
}

my $registry = Registry->start(args => [ '--workers', '1', '--bulk-workers', '1' ]);
my @pids     = ($registry->children('worker api'), $registry->children('worker bulk'));
my ($config, $manifest) = $registry->image_of([]);
$registry->push_blob('a/b', $config);

for my $way (qw(patch put post)) {
    my $bytes = random_bytes(300_000);
    my ($hex) = digest($bytes) =~ /:(.*)/;
    my @calls = traced(\@pids, sub { is_status($registry->push_blob('a/b', $bytes, way => $way), 201, "$way: a blob is pushed") });
    if (!$calls[0]) {
        $registry->stop;
        skip_or_fail('strace cannot attach to processes here') if !Test::More->builder->current_test;
        last;
    }
    subtest "$way: before the 201" => sub {
        my $answer = first_call(\@calls, 0, 'write|writev|sendto|sendmsg', qr/Status: 201/);
        ok(defined $answer, 'the 201 is in the trace') or return;
        my $file = first_call(\@calls, 0, 'fsync|fdatasync', qr/<[^>]*(?:uploads\/|\Q$hex\E)/);
        ok(defined $file && $file < $answer, 'the file was flushed');
        my $link = first_call(\@calls, 0, 'link|linkat|rename|renameat2', qr/\Q$hex\E/);
        ok(defined $link && $link < $answer, 'it got its place in layers/');
        ok(defined $file && defined $link && $file < $link, '... after it was flushed');
        my $directory = first_call(\@calls, $link // 0, 'fsync', qr{<[^>]*layers/sha256/\Q@{[substr $hex, 0, 2]}\E>});
        ok(defined $directory && $directory < $answer, '... and its directory was flushed');
        my $made = first_call(\@calls, 0, 'mkdir|mkdirat', qr{sha256/?[^"]*\b\Q@{[substr $hex, 0, 2]}\E".* = 0});
        if (defined $made) {
            my $parent = first_call(\@calls, $made, 'fsync', qr{<[^>]*layers/sha256>});
            ok(defined $parent && $parent < $answer, '... a new one also in the one above');
        }
        my $log = first_call(\@calls, $directory // 0, 'fsync|fdatasync', qr{<[^>]*db/log\.\d+>});
        ok(defined $log && $log < $answer, 'then the log was flushed');
    } or diag(map { "$_->[-1]\n" } grep { $_->[0] !~ /^p?write/ || $_->[-1] =~ /Status/ } @calls);
}

my @calls = traced(\@pids, sub { is_status($registry->put_manifest('a/b', 'v1', $manifest), 201, 'a manifest is pushed') });
subtest 'a manifest: before the 201' => sub {
    my $answer = first_call(\@calls, 0, 'write|writev|sendto|sendmsg', qr/Status: 201/);
    ok(defined $answer, 'the 201 is in the trace') or return;
    my $log = first_call(\@calls, 0, 'fsync|fdatasync', qr{<[^>]*db/log\.\d+>});
    ok(defined $log && $log < $answer, 'the log was flushed');
} if $calls[0];

# What nobody was promised waits for no disk.
for my $case (
    [ 'an upload that begins', 202, sub { $registry->post('/v2/a/b/blobs/uploads/', body => '') } ],
    [ 'the same manifest again', 201, sub { $registry->put_manifest('a/b', 'v1', $manifest) } ],
    [ '... by its digest', 201, sub { $registry->put_manifest('a/b', digest($manifest), $manifest) } ],
) {
    my ($name, $status, $work) = @$case;
    @calls = traced(\@pids, sub { is_status($work->(), $status, $name) });
    last if !$calls[0];
    ok(defined first_call(\@calls, 0, 'write|writev|sendto|sendmsg', qr/Status: $status/), 'the answer is in the trace');
    is(first_call(\@calls, 0, 'fsync|fdatasync', qr/./), undef, '... and no flush') or diag(map { "$_->[-1]\n" } @calls);
}

finish();
