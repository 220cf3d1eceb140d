# /healthz says ok exactly when images can be pulled, pushed and looked into; what only an administrator can mend is no
# reason to try again.
use v5.36;
use Registry limit => 90;
use Registry::Checks;
use Registry::Layers;
use Registry::Tools;
use Test::More;

my $WHY      = qr/No space|files can be made|can't be (?:indexed|taken over)|request failed|index/;
my $registry = Registry->start(args => [ '--index-wait', '3s' ], expected => $WHY);
my $dir      = $registry->dir;
my $www_data = (getpwnam 'www-data')[2];

sub is_well ($name) { return is_status($registry->get('/healthz'), 200, $name) }

sub is_ill ($why, $name) {
    my $health = $registry->get('/healthz');
    is_v1_error($health, 503, "$name: /healthz says so");
    like($health->content, $why, '... and why');
    unlike($health->content, qr/\Q$dir\E/, '... but not where');
    return;
}

# Looking into an image that is new.
sub look () {
    state $n = 0;
    push_layers($registry, 'a/b', 't' . ++$n, gzip_layer(tar_of("f file$n x")));
    return $registry->get("/v2/a/b/_image/t$n/tree");
}

is_well('at the start');
is_status(look(), 200, 'an image can be looked into');

subtest 'index/' => sub {
    rename "$dir/index", "$dir/away";
    spew("$dir/index", 'a file');
    is_ill(qr{index/: Not a directory}, 'a file in its place');
    my $answer = look();
    is_error($answer, 500, 'UNKNOWN', '... looking is an error, and not to be tried again');
    like($answer->message, qr{index/}, '... that tells why');
    unlink "$dir/index";
    if (is_root()) {    # DIR is root's, and the server isn't root any more
        is_ill(qr{index/: No such file}, 'it is missing, in a directory of root\'s');
    } else {
        is_well('it is missing, and can be made');
    }
    rename "$dir/away", "$dir/index" if !-e "$dir/index";
    chmod 0500, "$dir/index";
    is_ill(qr{index/: Permission denied}, 'it can\'t be written');
    chmod 0750, "$dir/index";
    is_well('as before');
    ok(wait_for(30, sub { look()->status == 200 }), '... and images can be looked into again');
};

subtest 'uploads' => sub {
    my $times = 0;
    for my $part ('uploads', 'uploads/body', 'layers/sha256') {
        my $mode = (stat "$dir/$part")[2] & 07777;
        chmod 0500, "$dir/$part";
        is_ill(qr{in \Q$part\E/: Permission denied}, "$part can't be written");
        ok(wait_for(5, sub { $registry->logged(qr/level=error msg="uploads can't be taken over from nginx" .*in \Q$part\E\//) }), '... and the log');
        chmod $mode, "$dir/$part";
        is_well('... as before');
        my $n = ++$times;
        ok(wait_for(5, sub { $registry->logged(qr/taken over from nginx again/) == $n }), '... and the log');
    }
};

subtest 'a start with index/ that cannot be used' => sub {
    $registry->stop;
    my @try = ([ '--dir', $dir, '--listen', '127.0.0.1', '--port', '0' ], timeout => 10);
    rename "$dir/index", "$dir/run/away";
    spew("$dir/index", 'a file');
    is_refused(Registry->try(@try), qr/index: Not a directory/, 'a file in its place is refused');
    unlink "$dir/index";
    rename "$dir/run/away", "$dir/index";
    chmod 0500, "$dir/index";
    is_refused(Registry->try(@try), qr{can't read and write in .*/index}, 'so is one that can\'t be written');
    chmod 0750, "$dir/index";
};

# Starts the server where `mount` was done, in a mount namespace of its own.
sub start_on ($at, $mount, @more) {
    my $script = "mount --make-rprivate / && $mount && exec \"\$@\"";
    return Registry->try([ '--dir', $at, '--listen', '127.0.0.1', '--port', '0', @more ],
        prefix => [ 'unshare', '-m', 'sh', '-c', $script, 'sh' ], timeout => 10);
}

subtest 'a read-only mount' => sub {
    my $at = tempdir() . '/disk';
    mkdir $at;
    plan skip_all => 'cannot mount here' if !is_root() || run([ 'unshare', '-m', 'true' ])->{exit};
    for my $case ([ 'an empty one', $at, "mount -t tmpfs -o ro none $at" ],
                  [ 'a registry of others', $at, "mount --bind $dir $at && mount -o remount,bind,ro $at", '--run-as', 'nobody' ]) {
        my ($what, @start) = @$case;
        my $ran = start_on(@start);
        is_refused($ran, qr/mounted read-only/, "$what is refused");
        unlike($ran->{err}, qr/owner|chown|modes/, '... without the advice to change its owner');
    }
};

subtest 'a directory of root\'s that is there already' => sub {
    plan skip_all => 'needs root' if !is_root();
    my $made = tempdir() . '/data';
    mkdir $made, 0755;
    my $other = Registry->start(dir => $made);
    is((stat "$made/index")[4], $www_data, 'index/ is made, and the server\'s');
    push_layers($other, 'a/b', 'x', gzip_layer(tar_of('f file x')));
    is_status($other->get('/v2/a/b/_image/x/tree'), 200, 'images can be looked into');
    is_status($other->get('/healthz'), 200, '/healthz');
};

finish();
