# A directory of an image as a tar: unpacked, it is what umoci makes of the image.
use v5.36;
use Registry limit => 600;
use Registry::Clients;
use Registry::Tools;
use Registry::Umoci;
use Test::More;

need(qw(umoci bsdtar tar curl));
skip_or_fail('only root can unpack an image with the owners of its files') if !is_root();

sub sh ($root, $script) {
    my $ran = run([ 'sh', '-euc', $script ], cwd => $root);
    die "sh: $ran->{err}" if $ran->{exit};
    return;
}

# ---- an image of ten layers, and one of eleven ----

my $tmp = tempdir();
my $odd = "odd \xff\n\"%2e";
my @changes = (sub ($root) {
    sh($root, <<~'END');
        mkdir -p etc usr/lib/deep/deeper usr/bin usr-x tmp dev var/empty
        ln -s usr/lib lib; ln -s /etc/passwd usr/bin/absolute; ln -s nowhere usr/bin/dangling
        echo root >etc/passwd; echo old >etc/gone; : >etc/empty
        chmod 1777 tmp; chmod 0 var/empty; chmod 4755 etc/passwd; chown 70000:3000000 usr/lib/deep
        mkfifo dev/fifo; mknod dev/null c 1 3; mknod dev/disk b 259 70000
        echo one >usr/bin/z-first; ln usr/bin/z-first usr/bin/a-link; ln usr/bin/z-first etc/far-link
        truncate -s 3000000 usr/lib/sparse; echo end >>usr/lib/sparse
        touch -d '1969-12-31T23:59:50Z' usr/lib/deep/before; touch -d '2200-01-01T00:00:00Z' usr/lib/deep/after
        touch -h -d '2001-02-03T04:05:06Z' lib; mkdir d d-x; echo 1 >d/f; echo 2 >d-x/f
        chmod 0555 usr/lib/deep/deeper
        END
    spew("$root/etc/$odd", 'odd');
    spew("$root/usr/lib/" . 'l' x 255, 'long');
    my $deep = $root;
    for (1 .. 4) { $deep .= '/' . 'd' x 200; mkdir $deep }
    spew("$deep/file", 'deep');
    symlink 't' x 300, "$deep/link";
    spew(sprintf('%s/usr/lib/n%03d', $root, $_), cheap_bytes(37 * $_)) for 1 .. 300;
    spew("$root/usr/lib/large", random_bytes(5_000_000));
});
push @changes, sub ($root) { sh($root, 'rm etc/gone; echo two >etc/two; rm -r d; echo file >d') };
push @changes, sub ($root) { sh($root, 'rm -r usr-x; ln -s etc usr-x; echo 3 >>etc/two; touch usr/lib/n007') };
push @changes, sub ($root) { sh($root, 'rm lib; mkdir lib; echo own >lib/own; ln usr/bin/a-link lib/later') };
push @changes, sub ($root) { sh($root, 'rm -r usr/lib/deep; mkdir usr/lib/deep; echo new >usr/lib/deep/new') };
push @changes, sub ($root) { sh($root, 'chown -h 1:2 usr/bin/dangling; chmod 0700 tmp; mv usr/lib/large usr/lib/moved') };
for my $i (7 .. 10) {
    push @changes, sub ($root) { spew("$root/tmp/layer$i", $i x 1000); sh($root, 'rm -f etc/far-link') };
}
push @changes, sub ($root) { spew("$root/a-first", random_bytes(3_000_000)) };
umoci_image($tmp, @changes);

my $registry = Registry->start(args => [ '--index-wait', '60s' ], expected => qr{upstream prematurely closed});
push_layout($registry, 't/image', $tmp);

# ---- what is compared ----

my $n = 0;

# The archive of that path, in a file; the answer.
sub fetch ($path, $tag = 10) {
    my $file = "$tmp/archive-" . ++$n;
    open my $out, '>:raw', $file or die $!;
    my $answer = $registry->get("/v2/t/image/_image/$tag/archive$path", to => sub ($piece) { print $out $piece });
    close $out or die $!;
    return ($answer, $file);
}

sub unpacked ($file, @unpack) {
    my $to = "$tmp/by-" . ++$n;
    mkdir $to;
    my $ran = run([ @unpack, '--numeric-owner', '-xpf', $file, '-C', $to ], env => { LC_ALL => 'C.UTF-8' });
    is($ran->{exit}, 0, "$unpack[0] takes it") or diag($ran->{err});
    my @words = grep { !/usr.lib.deep.(?:after|before): (?:time stamp|implausibly old)/ } split /\n/, $ran->{err};
    is("@words", '', 'without a word, but on times in the future and the past');
    return $to;
}

sub same ($is, $should, $what) {
    my @differences;
    for my $path (sort keys %{ { %$is, %$should } }) {
        my ($a, $b) = ($is->{$path}, $should->{$path});
        if (!$a || !$b) { push @differences, ($a ? 'more: ' : 'missing: ') . $path; next }
        push @differences, map { "$path: $_ is $a->{$_}, not $b->{$_}" } grep { ($a->{$_} // '') ne ($b->{$_} // '') } sort keys %$b;
    }
    is(scalar @differences, 0, $what) or diag(join "\n", @differences[ 0 .. ($#differences < 10 ? $#differences : 10) ]);
}

# What umoci makes of it; of the times only whole seconds before 1970, where tars differ.
sub truth ($tag) { return snapshot(umoci_unpack($tmp, $tag)) }

for my $tag (1, 10) {
    my ($answer, $file) = fetch('', $tag);
    is($answer->status, 200, "the archive of image $tag");
    is($answer->header('Content-Type'), 'application/x-tar', 'is a tar');
    my $truth = truth($tag);
    ok(keys %$truth > 300, 'of many paths: ' . keys %$truth);
    same(snapshot(unpacked($file, 'tar')),    $truth, 'what GNU tar makes of it is what umoci makes of the image');
    same(snapshot(unpacked($file, 'bsdtar')), $truth, 'and so is what bsdtar makes of it');
    my $listed = run([ 'tar', '-tf', $file ])->{out};
    unlike($listed, qr{^(?:/|.*\.\.)}m, 'no name leads out of the directory');
}

# ---- a directory, a file ----

my $root = "$tmp/unpacked-10/rootfs";
my ($answer, $file) = fetch('/usr/lib');
same(snapshot(unpacked($file, 'tar')), snapshot("$root/usr/lib"), 'a directory alone is that directory');
like($answer->header('Content-Disposition'), qr/^attachment; filename="lib\.tar"/, 'it is called as the directory');
($answer, $file) = fetch('/usr/bin/');
my $bin = snapshot(unpacked($file, 'tar'));
is($bin->{'a-link'}{links}, 2, 'of a file with names outside there are those inside, and they are one file');
is(run([ 'tar', '-tf', $file ])->{out}, "./\na-link\nabsolute\ndangling\nz-first\n", 'names are from the directory on');
($answer, $file) = fetch('/usr-x');
ok(snapshot(unpacked($file, 'tar'))->{passwd}, 'a link to a directory is followed');
($answer, $file) = fetch('/etc/passwd');
same(snapshot(unpacked($file, 'tar')), { passwd => snapshot("$root/etc")->{passwd} }, 'a file alone is a tar of it');
($answer, $file) = fetch('/etc/odd%20%FF%0A%22%252e');
is($answer->status, 200, 'a path may have any bytes');
is(snapshot(unpacked($file, 'bsdtar'))->{$odd}{size}, 3, 'and they are kept');
($answer) = fetch('');
like($answer->header('Content-Disposition'), qr/filename="image\.tar"/, 'all of an image is called as the repository');
is($registry->get('/v2/t/image/_image/10/archive')->content, $registry->get('/v2/t/image/_image/10/archive/')->content,
    'the same image gives the same bytes');

# ---- other methods, and what can not be had ----

my $head = $registry->head('/v2/t/image/_image/10/archive/usr');
is($head->status, 200, 'HEAD');
is($head->header('Content-Type'), 'application/x-tar', 'has the same headers');
for my $case ([ '/nothing', 404, qr{there is no /nothing} ], [ '/etc/passwd/', 404, qr/is not a directory/ ], [ '/etc/passwd/x', 404, qr/there is no/ ]) {
    my ($path, $status, $says) = @$case;
    my $got = $registry->get("/v2/t/image/_image/10/archive$path");
    is($got->status, $status, "archive$path: $status");
    is($registry->head("/v2/t/image/_image/10/archive$path")->status, $status, 'by HEAD as well');
    like($got->message, $says, 'which says why');
}
my $type  = $Registry::Client::TYPE{manifest};
my $index = $Registry::Client::TYPE{index};
my @parts = map {
    my $is = $registry->head("/v2/t/image/manifests/$_->[1]", headers => { Accept => $type });
    { mediaType => $type, digest => $is->header('Docker-Content-Digest'), size => 0 + $is->header('Content-Length'),
        platform => { os => 'linux', architecture => $_->[0] } };
} [ amd64 => 1 ], [ arm64 => 10 ];
$registry->put_manifest('t/image', 'multi', json_of({ schemaVersion => 2, mediaType => $index, manifests => \@parts }), $index);
for my $case ([ '', 1 ], [ '?platform=linux/arm64', 10 ]) {
    my ($query, $tag) = @$case;
    is(digest($registry->get("/v2/t/image/_image/multi/archive/etc$query")->content), digest($registry->get("/v2/t/image/_image/$tag/archive/etc")->content),
        "of an index$query it is that image's");
}
isnt(digest($registry->get('/v2/t/image/_image/1/archive/etc')->content), digest($registry->get('/v2/t/image/_image/10/archive/etc')->content),
    'and they are not the same');
is($registry->get('/v2/t/image/_image/none/archive')->status, 404, 'no such tag');
is($registry->get('/v2/t/image/_image/10/archive?platform=x')->status, 400, 'a platform that is none');

# ---- a layer that breaks in the middle ----

my $layer  = $registry->get('/v2/t/image/manifests/11')->json->{layers}[-1];
my ($blob) = $registry->blob_files($layer->{digest});
chmod 0640, "$registry->{dir}/$blob";
truncate "$registry->{dir}/$blob", 2_000_000 or die "$blob: $!";
my $broken = curl('--output', "$tmp/broken", '--write-out', '%{http_code}', "http://127.0.0.1:" . $registry->port . '/v2/t/image/_image/11/archive');
is($broken->{out}, '200', 'what turns out to be damaged after the first bytes');
isnt($broken->{exit}, 0, 'is a transfer that breaks, for curl');
ok(-s "$tmp/broken" > 0, 'and not before them');
is($registry->get('/v2/t/image/_image/11/archive/tmp')->status, 200, 'what lies in other layers can be had');

finish();
