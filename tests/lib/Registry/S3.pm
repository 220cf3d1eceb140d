package Registry::S3;
# A strict server of S3 for tests: path-style requests for one bucket, whose objects are files below a directory.
# It verifies each signature, each header x-amz-content-sha256 against the bytes, and the time of presigned queries, and
# it can be told to fail.
use v5.36;
use Digest::SHA qw(sha256_hex hmac_sha256 hmac_sha256_hex);
use File::Basename qw(dirname);
use File::Path qw(make_path);
use IO::Socket::INET;
use POSIX ();
use Registry::Tools;
use Time::Local qw(timegm);

use constant BUCKET => 'layers';

my @servers;

# Starts one. Options: access_key, secret_key.
sub start ($class, %o) {
    my $self = bless { dir => tempdir(), access_key => 'KEY', secret_key => 'SECRET', region => 'us-east-1', port => 0, %o }, $class;
    make_path("$self->{dir}/objects", "$self->{dir}/run", "$self->{dir}/uploads");
    $self->_serve;
    push @servers, $self;
    return $self;
}

sub _serve ($self) {
    my $socket;
    # After a kill, a child that was forked just before may have the port for another moment.
    wait_for(10, sub { $socket = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', LocalPort => $self->{port}, ReuseAddr => 1) })
        or die "S3: $!";
    $self->{port} = $socket->sockport;
    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        setpgrp;
        $SIG{CHLD} = 'IGNORE';
        $SIG{TERM} = 'DEFAULT';
        while (my $client = $socket->accept) {
            my $child = fork // next;
            if ($child == 0) {
                $SIG{CHLD} = 'DEFAULT';
                close $socket;
                eval { 1 while $self->_answer($client) };
                POSIX::_exit(0);
            }
            close $client;
        }
        POSIX::_exit(0);
    }
    close $socket;
    wait_for(10, sub { (getpgrp($self->{pid}) // 0) == $self->{pid} }) or die 'S3 has not begun';
    return;
}

# versitygw with an empty bucket, if it is in PATH: else nothing. It has url and env, and stops. Options: port; dir, which
# the caller removes.
sub versitygw ($class, %o) {
    my ($program) = grep { -x } map { "$_/versitygw" } split /:/, $ENV{PATH};
    return if !defined $program;
    my $self = bless { dir => $o{dir} // tempdir(), access_key => 'KEY', secret_key => 'SECRET', port => $o{port} // free_port() }, $class;
    mkdir "$self->{dir}/" . BUCKET;
    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        setpgrp;
        @ENV{qw(ROOT_ACCESS_KEY ROOT_SECRET_KEY)} = @$self{qw(access_key secret_key)};
        open STDOUT, '>', "$self->{dir}.log" or die;
        open STDERR, '>&', \*STDOUT or die;
        exec $program, '--port', "127.0.0.1:$self->{port}", 'posix', $self->{dir} or die "$program: $!";
    }
    push @servers, $self;
    wait_for(20, sub { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$self->{port}") }) or die 'versitygw does not listen';
    return $self;
}

# Somebody with TLS on a free port, and a certificate that nobody has signed. It has url, and stops.
sub impostor ($class) {
    my $self = bless { dir => tempdir(), port => free_port(), scheme => 'https' }, $class;
    my ($certificate, $key) = make_certificate($self->{dir}, 'impostor');
    $self->{pid} = fork // die "fork: $!";
    if ($self->{pid} == 0) {
        setpgrp;
        open STDIN,  '<', '/dev/null' or die;
        open STDOUT, '>', '/dev/null' or die;
        open STDERR, '>&', \*STDOUT or die;
        exec 'openssl', 's_server', '-accept', "127.0.0.1:$self->{port}", '-cert', $certificate, '-key', $key, '-www' or die "openssl: $!";
    }
    push @servers, $self;
    wait_for(20, sub { serial_at($self->{port}) }) or die 'openssl does not listen';
    return $self;
}

# With all its connections.
sub stop ($self) {
    return if !$self->{pid};
    kill '-KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    delete $self->{pid};
    return;
}
END { my $status = $?; $_->stop for @servers; $? = $status }

# For --blobs, and the environment of the program.
sub url ($self, $prefix = 'registry') { return "s3://" . BUCKET . "/$prefix?endpoint=" . ($self->{scheme} // 'http') . "://127.0.0.1:$self->{port}" }
sub env ($self) { return { AWS_ACCESS_KEY_ID => $self->{access_key}, AWS_SECRET_ACCESS_KEY => $self->{secret_key} } }

# Uploads in parts that have not ended, as names of files: their objects' keys, with the number of the upload.
sub uploads ($self) {
    my @found = split /\n/, run([ 'find', "$self->{dir}/uploads", '-name', 'key' ])->{out};
    return sort map { slurp($_) } @found;
}

# Begins one, as if so many seconds ago.
sub begin_upload ($self, $key, $seconds) {
    my $dir = sprintf '%s/uploads/%x', $self->{dir}, int rand 1 << 48;
    make_path($dir);
    spew("$dir/key", $key);
    utime time - $seconds, time - $seconds, "$dir/key";
    return;
}

# Kills the server, which keeps its objects; it comes back on the same port.
sub restart ($self) { $self->stop; $self->_serve; return }

# A process that has started it again gives its number to its parent, which stops it.
sub detach ($self) { spew("$self->{dir}/run/pid", delete $self->{pid}); return }
sub attach ($self) { $self->{pid} = slurp("$self->{dir}/run/pid"); return }

# Other keys, of which clients may know nothing yet.
sub change_keys ($self, $access, $secret) {
    @$self{qw(access_key secret_key)} = ($access, $secret);
    $self->restart;
    return;
}

# Objects below a prefix, as names of files.
sub objects ($self, $prefix = '') {
    my $below = $prefix =~ m{^(.*/)} ? $1 : '';
    return if !-d "$self->{dir}/objects/$below";
    my @found = split /\n/, run([ 'find', "$self->{dir}/objects/$below", '-type', 'f' ])->{out};
    return sort grep { index($_, $prefix) == 0 } map { substr $_, length "$self->{dir}/objects/" } @found;
}
sub file ($self, $key) { return "$self->{dir}/objects/$key" }

# From now on requests of these methods (a pattern) fail, n times (0: always): status (an error), slow (seconds before the
# answer), truncate (half of the object, and the end of the connection), wrong (other bytes of the same number), drop (the
# connection ends without an answer), lax (bytes that have another hash are taken), hollow (what would be a document is
# empty, and nothing is done), loop (a list never ends), headers (so many MB of them). Without arguments all is well again.
sub fail ($self, %o) {
    spew("$self->{dir}/run/fault", %o ? join("\n", map { "$_ $o{$_}" } sort keys %o) . "\n" : '');
    unlink "$self->{dir}/run/failed";
    return;
}

# Requests that failed so.
sub failed ($self) { return -s "$self->{dir}/run/failed" // 0 }

sub _fault ($self, $method) {
    my %fault = map { split / /, $_, 2 } split /\n/, -e "$self->{dir}/run/fault" ? slurp("$self->{dir}/run/fault") : '';
    return if !%fault || $method !~ /^(?:$fault{methods})$/ || ($fault{n} && $self->failed >= $fault{n});
    open my $out, '>>', "$self->{dir}/run/failed" or die $!;
    syswrite $out, 'x';
    return \%fault;
}

# What was asked for since the last forget_requests, as "METHOD KEY".
sub requests ($self) { return -e "$self->{dir}/run/requests" ? split(/\n/, slurp("$self->{dir}/run/requests")) : () }
sub forget_requests ($self) { unlink "$self->{dir}/run/requests"; return }

sub _note_request ($self, $method, $path) {
    open my $out, '>>', "$self->{dir}/run/requests" or die $!;
    syswrite $out, "$method " . ($path =~ s{^/[^/]*/?}{}r) . "\n";
    return;
}

sub _is_lax ($self) { return -e "$self->{dir}/run/fault" && slurp("$self->{dir}/run/fault") =~ /^lax /m }

# ---- a request ----

sub _line ($client) {
    my $line = '';
    while ($line !~ /\n$/) { sysread($client, $line, 1, length $line) or return }
    return $line =~ s/\r?\n$//r;
}

sub _answer ($self, $client) {
    my ($method, $target) = (_line($client) // return 0) =~ m{^(\S+) (\S+) HTTP/1\.[01]$} or return 0;
    my %header;
    while (defined(my $line = _line($client))) {
        last if $line eq '';
        my ($name, $value) = $line =~ /^([^:]+):\s*(.*?)\s*$/ or return 0;
        $header{ lc $name } = $value;
    }
    my ($path, $query) = split /\?/, $target, 2;
    $self->_note_request($method, $path);
    my $body = '';
    while (length $body < ($header{'content-length'} // 0)) {
        sysread($client, $body, 1 << 20, length $body) or return 0;
    }
    my $fault = $self->_fault($method);
    sleep $fault->{slow} if $fault && $fault->{slow};
    return 0 if $fault && $fault->{drop};
    my $is_hollow = $fault && $fault->{hollow} && ($header{'x-amz-copy-source'} || ($query // '') =~ /^uploadId=/);
    my ($status, $code, $out, %more) =
          $fault && $fault->{status} ? ($fault->{status}, 'InternalError', '')
        : $is_hollow                 ? (200, '', '')
        :                              $self->_work($method, $path, $query // '', \%header, $body);
    $out =~ s{(?=</ListBucketResult>)}{<NextContinuationToken>again</NextContinuationToken>} if $fault && $fault->{loop};
    $out = "<?xml version=\"1.0\"?>\n<Error><Code>$code</Code></Error>" if $status >= 300 && $method ne 'HEAD';
    my $length = $more{length} // length $out;
    $out = '' if $method eq 'HEAD';
    if ($fault && $status == 200 && $method eq 'GET') {
        substr($out, length($out) / 2, 1) ^.= "\x01" if $fault->{wrong};
        $out = substr $out, 0, length($out) / 2 if $fault->{truncate};
    }
    my $answer = "HTTP/1.1 $status Status\r\nDate: " . POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime) . "\r\nContent-Length: $length\r\n";
    $answer .= ('X-More: ' . 'x' x 1000 . "\r\n") x (1000 * $fault->{headers}) if $fault && $fault->{headers};
    $answer .= "Last-Modified: $more{modified}\r\n" if $more{modified};
    $answer .= "Content-Encoding: gzip\r\nLink: </of-s3>\r\nRefresh: 1; url=of-s3\r\nWWW-Authenticate: of-s3\r\n" if $method eq 'GET';
    $answer .= "x-amz-request-id: 1\r\nContent-Type: text/x-of-s3\r\nETag: " . ($more{etag} // '"of-s3"') . "\r\n\r\n$out";
    while (length $answer) { my $n = syswrite($client, $answer) or return 0; substr $answer, 0, $n, '' }
    return !($fault && $fault->{truncate});
}

sub _work ($self, $method, $path, $query, $header, $body) {
    my $refusal = $self->_refusal($method, $path, $query, $header, $body);
    return ($refusal->[0], $refusal->[1], '') if $refusal;
    my $root = '/' . BUCKET;
    return $self->_list_uploads if $method eq 'GET' && $path eq $root && $query =~ /&uploads=$/;
    return $self->_list($query) if $method eq 'GET' && $path eq $root;
    return (404, 'NoSuchBucket', '') if index($path, "$root/") != 0 || $path =~ m{/\.\.?(/|$)|//};
    my $file = $self->file(substr $path, length "$root/");
    return $self->_parts($method, $file, $query, $body) if $query =~ /^uploads=$|uploadId=/;
    if ($method eq 'PUT') {
        if (my $from = $header->{'x-amz-copy-source'}) {
            my $source = $self->file(substr $from, length "$root/");
            return (404, 'NoSuchKey', '') if !-f $source;
            $body = slurp($source);
        }
        make_path(dirname($file));
        spew("$file.part$$", $body);
        rename "$file.part$$", $file or die $!;
        return (200, '', $header->{'x-amz-copy-source'} ? '<CopyObjectResult></CopyObjectResult>' : '');
    }
    if ($method eq 'DELETE') { unlink $file; return (204, '', '') }
    return (404, 'NoSuchKey', '') if !-f $file;
    my $modified = POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime((stat $file)[9]));
    return (200, '', '', modified => $modified, length => -s $file) if $method eq 'HEAD';
    return (200, '', slurp($file), modified => $modified);
}

sub _list ($self, $query) {
    my %q = map { my ($n, $v) = split /=/, $_, 2; ($n => ($v // '') =~ s/%([0-9A-F]{2})/chr hex $1/ger) } split /&/, $query;
    return (400, 'InvalidArgument', '') if ($q{'list-type'} // '') ne '2';
    my $after = $q{'continuation-token'} // '';
    my @keys  = grep { $_ gt $after } $self->objects($q{prefix} // '');
    my $more  = @keys > 1000;
    splice @keys, 1000 if $more;
    my $out = '<?xml version="1.0"?><ListBucketResult>';
    for my $key (@keys) {
        my @st = stat $self->file($key) or next;
        $out .= '<Contents><Key>' . ($key =~ s/&/&amp;/gr) . '</Key><LastModified>' . POSIX::strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime $st[9])
            . "</LastModified><Size>$st[7]</Size></Contents>";
    }
    $out .= "<IsTruncated>true</IsTruncated><NextContinuationToken>$keys[-1]</NextContinuationToken>" if $more;
    return (200, '', "$out</ListBucketResult>");
}

# ---- uploads in parts ----

sub _parts ($self, $method, $file, $query, $body) {
    my ($number) = $query =~ /^partNumber=(\d+)&/;
    my ($id)     = $query =~ /uploadId=(\w+)%2B$/;
    if ($method eq 'POST' && !defined $id) {
        $id = sprintf '%x', int rand 1 << 48;
        make_path("$self->{dir}/uploads/$id");
        spew("$self->{dir}/uploads/$id/key", $file =~ s{^\Q$self->{dir}\E/objects/}{}r);
        return (200, '', "<InitiateMultipartUploadResult><UploadId>$id+</UploadId></InitiateMultipartUploadResult>");
    }
    my $dir = "$self->{dir}/uploads/" . ($id // 'none');
    return (404, 'NoSuchUpload', '') if !-d $dir;
    if ($method eq 'PUT') {
        spew("$dir/$number", $body);
        return (200, '', '', etag => '"' . substr(sha256_hex($body), 0, 32) . '"');
    }
    if ($method eq 'POST') {
        my $all = '';
        my $n = 0;
        while ($body =~ m{<Part><PartNumber>(\d+)</PartNumber><ETag>&quot;(\w+)&quot;</ETag></Part>}g) {
            my $part = -f "$dir/$1" ? slurp("$dir/$1") : '';
            return (200, '', '<?xml version="1.0"?><Error><Code>InvalidPart</Code></Error>') if $1 != ++$n || $2 ne substr sha256_hex($part), 0, 32;
            $all .= $part;
        }
        return (400, 'MalformedXML', '') if !$n;
        make_path(dirname($file));
        spew("$file.part$$", $all);
        rename "$file.part$$", $file or die $!;
    }
    run([ 'rm', '-r', $dir ]);
    return $method eq 'POST' ? (200, '', '<CompleteMultipartUploadResult></CompleteMultipartUploadResult>') : (204, '', '');
}

sub _list_uploads ($self) {
    my $out = '<?xml version="1.0"?><ListMultipartUploadsResult>';
    for my $key (glob "$self->{dir}/uploads/*/key") {
        my ($id) = $key =~ m{/(\w+)/key$};
        $out .= "<Upload><Key>" . slurp($key) . "</Key><UploadId>$id+</UploadId><Initiated>"
            . POSIX::strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime((stat $key)[9])) . '</Initiated></Upload>';
    }
    return (200, '', "$out</ListMultipartUploadsResult>");
}

# ---- signatures ----

sub _refusal ($self, $method, $path, $query, $header, $body) {
    my ($access, $scope, $names, $signature, $time, $hash, $signed_query) = ('') x 7;
    if (($header->{authorization} // '') =~ m{^AWS4-HMAC-SHA256 Credential=([^/]+)/(\S+), ?SignedHeaders=([^,]+), ?Signature=(\w+)$}) {
        ($access, $scope, $names, $signature, $time, $hash, $signed_query) = ($1, $2, $3, $4, $header->{'x-amz-date'}, $header->{'x-amz-content-sha256'}, $query);
        return [ 400, 'XAmzContentSHA256Mismatch' ] if $hash ne sha256_hex($body) && !$self->_is_lax;
    } elsif (my @parts = $query =~ /^(X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=([^%]+)%2F(\S+?)&X-Amz-Date=(\w+)&X-Amz-Expires=(\d+)&X-Amz-SignedHeaders=(\w+))&X-Amz-Signature=(\w+)$/) {
        ($signed_query, $access, $scope, $time, my $expires, $names, $signature) = @parts;
        ($scope, $hash) = ($scope =~ s{%2F}{/}gr, 'UNSIGNED-PAYLOAD');
        return [ 403, 'AccessDenied' ] if $header->{authorization} || time > _seconds($time) + $expires;
    } else {
        return [ 403, 'AccessDenied' ];
    }
    return [ 403, 'InvalidAccessKeyId' ] if $access ne $self->{access_key};
    return [ 403, 'RequestTimeTooSkewed' ] if abs(time - _seconds($time)) > 900;
    my $date = substr $time, 0, 8;
    return [ 403, 'AccessDenied' ] if $scope ne "$date/$self->{region}/s3/aws4_request" || $names !~ /\bhost\b/;
    my $canonical = join "\n", $method, $path, join('&', sort split /&/, $signed_query),
        (map { "$_:$header->{$_}" } split /;/, $names), '', $names, $hash;
    my $key = "AWS4$self->{secret_key}";
    $key = hmac_sha256($_, $key) for $date, $self->{region}, 's3', 'aws4_request';
    my $right = hmac_sha256_hex(join("\n", 'AWS4-HMAC-SHA256', $time, $scope, sha256_hex($canonical)), $key);
    return $right eq $signature ? undef : [ 403, 'SignatureDoesNotMatch' ];
}

sub _seconds ($text) {
    my @t = $text =~ /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/ or return 0;
    return timegm($t[5], $t[4], $t[3], $t[2], $t[1] - 1, $t[0]);
}

1;
